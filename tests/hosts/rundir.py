"""Run directories: what a sandbox leaves on the host (files, cgroups, a bridge), and how it is removed.

A run directory is locked (flock) by the first process of its sandbox. Whoever gets the lock knows that the
sandbox is gone and may sweep. `python -I rundir.py PATH` waits for that and sweeps: a watcher outside of the
sandbox, so nothing is left behind even when the sandbox is killed. If the watcher is killed too, the next run
sweeps. Standard library only.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

BASE = Path(os.environ.get("SWARMPROXY_RUN_BASE", "/var/lib/swarmproxy-hosts"))
CGROUPS = Path("/sys/fs/cgroup")
LOCK = "lock"
BRIDGES = "bridges"  # names of bridges in the host's own network namespace, one a line
SWEEP_DEADLINE_S = 20.0


def create(name: str, base: Path = BASE) -> tuple[Path, int]:
    """Return a new run directory and the descriptor that holds its lock; removes an old one of that name.

    Raises BlockingIOError if a sandbox of that name is alive.
    """
    path = base / name
    while True:
        path.mkdir(mode=0o711, parents=True, exist_ok=True)
        try:
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # swept between our mkdir and this
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise
        # Swept between our mkdir and our lock? Then the lock is on a file without a name: once more.
        if not is_named(lock, path / LOCK):
            os.close(lock)
            continue
        if any(entry.name != LOCK for entry in path.iterdir()):
            sweep(path)
            os.close(lock)
            continue
        return path, lock


def is_named(descriptor: int, path: Path) -> bool:
    """Say whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def cgroup_of(path: Path) -> str:
    """Return the cgroup parent of all containers of this run, the same in every hierarchy."""
    return f"/swarmproxy-hosts-{path.name}"


def sweep(path: Path) -> None:
    """Remove what a dead sandbox left on the host, if anything. The caller holds its lock."""
    with contextlib.suppress(FileNotFoundError):
        for bridge in (path / BRIDGES).read_text().split():
            for cable in cables_of(bridge):
                delete_link(cable)
            delete_link(bridge)
    end = time.monotonic() + SWEEP_DEADLINE_S
    while remove_cgroups(cgroup_of(path)) and time.monotonic() < end:
        time.sleep(0.05)  # the last processes are still on their way out
    for entry in path.iterdir():
        if entry.name != LOCK:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)  # the lock last: others wait for it
    with contextlib.suppress(OSError):
        path.parent.rmdir()  # only if this was the last one


def cables_of(bridge: str) -> list[str]:
    """Return the names of the interfaces on `bridge`."""
    command = ["ip", "-json", "link", "show", "master", bridge]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return [link["ifname"] for link in json.loads(done.stdout or "[]") if link]


def delete_link(name: str) -> None:
    """Delete a network interface, if it is there."""
    subprocess.run(["ip", "link", "delete", name], check=False, stderr=subprocess.DEVNULL)


def remove_cgroups(name: str) -> list[Path]:
    """Remove the cgroups called `name`, of version 1 and 2, and return those that could not be."""
    for top in cgroups(name):
        for directory, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
    return cgroups(name)


def cgroups(name: str) -> list[Path]:
    """Return the directories of the cgroup called `name`: one with version 2, one for each controller with 1."""
    hierarchies = (CGROUPS, *(entry for entry in CGROUPS.iterdir() if entry.is_dir()))
    tops = (hierarchy / name.lstrip("/") for hierarchy in hierarchies)
    return [top for top in tops if top.is_dir()]


def sweep_dead() -> None:
    """Sweep the run directories whose sandboxes are gone."""
    for path in sorted(BASE.iterdir()) if BASE.is_dir() else []:
        try_sweep(path, wait=False)


def is_alive(path: Path) -> bool:
    """Say whether the sandbox of `path` lives."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def try_sweep(path: Path, *, wait: bool) -> bool:
    """Sweep `path` if its sandbox is gone, or once it is (`wait`), and say whether we did."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if not is_named(lock, path / LOCK):  # another sweeper was faster
            return False
        sweep(path)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def watch(path: Path) -> "subprocess.Popen[bytes]":
    """Start the watcher of `path` in a session of its own; it ends once all is swept."""
    return subprocess.Popen(
        [sys.executable, "-I", __file__, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


if __name__ == "__main__":
    try_sweep(Path(sys.argv[1]), wait=True)
