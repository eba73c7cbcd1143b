"""A sandbox: new namespaces (PID, mount, UTS, IPC, network) that take everything with them when they end.

    python -m tests.hosts.sandbox [--] COMMAND...

runs COMMAND in one and exits with its status. Whether it ends by itself, by a signal or by `kill -9` of any
process involved: no process, mount or network interface outlives it, and its files and cgroups are removed
(see `rundir`). Several may run side by side. Inside there is no network but the loopback, /run is empty, and
`RUN_DIR` is in the environment. Needs root.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.hosts import rundir

RUN_DIR = "SWARMPROXY_RUN_DIR"  # environment variable: the run directory; set only inside of a sandbox
INIT = Path(__file__).with_name("init.py")
NAMESPACES = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts", "--ipc")


def is_inside() -> bool:
    """Say whether this process runs in a sandbox."""
    return RUN_DIR in os.environ


def run_dir() -> Path:
    """Return the run directory of the sandbox around us. Raises RuntimeError outside of one."""
    if not is_inside():
        raise RuntimeError("not in a sandbox: run this with `python -m tests.hosts.sandbox COMMAND...`")
    return Path(os.environ[RUN_DIR])


def demand_root() -> None:
    """Raise PermissionError, with advice, unless we are root."""
    if os.geteuid() != 0:
        raise PermissionError("real engines in namespaces of their own need root: run this with sudo")


def start(
    command: Sequence[str],
    *,
    path: Path,
    lock: int,
    own_network: bool = True,
    dies_with_parent: bool = True,
    output: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Return the running sandbox around `command`. SIGKILL ends it and everything in it.

    `path` and `lock` come from `rundir.create`; the caller closes its copy of the lock. `output` replaces
    stdout and stderr, and then the sandbox is in a session of its own.
    """
    before = [["mount", "-t", "tmpfs", "tmpfs", "/run"]] if own_network else []
    if is_overlay(path):  # as in a container: overlay on overlay does not work
        before.append(["mount", "-t", "tmpfs", "tmpfs", str(path)])
    temporary = path / "tmp"  # what the command forgets there is swept with the rest
    before.append(["mkdir", "-p", str(temporary)])
    plan = {
        "before": before,
        "after": [["ip", "link", "set", "lo", "up"]] if own_network else [],
        "argv": list(command),
    }
    return subprocess.Popen(
        [
            *(("setpriv", "--pdeathsig", "KILL") if dies_with_parent else ()),
            *("unshare", *NAMESPACES, *(("--net",) if own_network else ())),
            *(sys.executable, "-I", str(INIT), json.dumps(plan)),
        ],
        pass_fds=[lock],
        env={**os.environ, RUN_DIR: str(path), "TMPDIR": str(temporary)},
        stdin=None if output is None else subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=output is not None,
    )


def is_overlay(path: Path) -> bool:
    """Say whether `path` lies on an overlay file system."""
    answer = subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True)
    return answer.stdout.strip() == "overlayfs"


def run(command: Sequence[str]) -> int:
    """Run `command` in a sandbox and return its exit status; afterwards nothing of it is left on the host."""
    demand_root()
    rundir.sweep_dead()
    path, lock = rundir.create(f"{os.getpid()}-{secrets.token_hex(3)}")
    watcher = rundir.watch(path)
    sandbox = start(command, path=path, lock=lock)

    def end(number: int, frame: FrameType | None) -> None:
        sandbox.kill()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    # The terminal interrupts the command as well, which then ends in its own way.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        code = sandbox.wait()
    finally:
        os.close(lock)
        watcher.wait()
    return code if code >= 0 else 128 - code


def enter(command: Sequence[str]) -> NoReturn:
    """Replace this process by one that runs `command` in a sandbox."""
    demand_root()
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    arguments = [sys.executable, "-m", "tests.hosts.sandbox", "--", *command]
    os.execve(sys.executable, arguments, {**os.environ, "PYTHONPATH": path})


def main(arguments: Sequence[str]) -> int:
    """Return the exit status for the command line."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return run(command)
    except PermissionError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
