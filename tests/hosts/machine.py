"""A machine with a real systemd as its PID 1, on which we are installed as a stranger would."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clients import Done
from tests.hosts import base_image, rundir, sandbox
from tests.hosts.engine import children

BOOT = Path(__file__).with_name("boot.sh")
# All kinds but users; the cgroup is its own as well, so that systemd sees nothing above its services.
NAMESPACES = ("--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--net", "--cgroup")
BOOTED = ("running", "degraded")  # degraded: some service wants more than a kernel gives to a container
BOOT_DEADLINE_S = 60.0
RUN_DEADLINE_S = 240.0
PATIENCE = 300  # attempts, five in a second
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class Machine:
    """A Debian in namespaces of its own, which reaches nothing but its own `addresses`; to be used in a sandbox."""

    def __init__(self, name: str, addresses: Sequence[str] = ()) -> None:
        self.directory = sandbox.run_dir() / name
        self.addresses = addresses
        self._cgroup = unified_hierarchy() / rundir.cgroup_of(sandbox.run_dir()).lstrip("/") / name
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it, and wait until it has started its services. Raises RuntimeError with what it says of them."""
        self.directory.mkdir()
        self._cgroup.mkdir(parents=True)
        command = ["unshare", *NAMESPACES, str(BOOT), str(base_image.machine_root()), str(self.directory)]
        command += self.addresses
        with (self.directory / "console").open("wb") as console:
            self._process = subprocess.Popen(
                ["sh", "-c", f'echo 0 >{self._cgroup}/cgroup.procs && exec "$@"', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        end = time.monotonic() + BOOT_DEADLINE_S
        while (state := self.state()) not in BOOTED:
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the machine is {state or 'off'}:\n{self.complaints(state)}")
            time.sleep(0.05)

    def state(self) -> str:
        """Return what systemd says that it is; empty as long as it is not there."""
        found = children(self._process.pid) if self._process is not None else []
        return self.run("systemctl is-system-running", check=False).stdout.strip() if found else ""

    def complaints(self, state: str) -> str:
        """Return what went wrong."""
        console = (self.directory / "console").read_text(errors="replace")
        asked = "systemctl --no-pager list-jobs; systemctl --no-pager --failed; journalctl --no-pager -p warning"
        return console + (str(self.run(asked, check=False)) if state else "")

    def run(self, script: str, variables: Mapping[str, str] | None = None, *, check: bool = True) -> Done:
        """Return what root's shell does with `script` there. Raises AssertionError with its output if it fails."""
        environment = (f"{name}={value}" for name, value in {**ENVIRONMENT, **(variables or {})}.items())
        command = ["nsenter", f"--target={self.pid}", "--all", "env", "-i", *environment, "bash", "-euc", script]
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_DEADLINE_S
        )
        result = Done(command, done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, str(result)
        return result

    def wait_until(self, script: str) -> None:
        """Return when `script` succeeds there. Raises AssertionError with its output if it never does."""
        self.run(f"for _ in {{1..{PATIENCE}}}; do if {script}; then exit; fi; sleep 0.2; done; exit 1")

    def path(self, inside: str) -> Path:
        """Return where we find its file `inside`."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def write(self, files: Mapping[str, str]) -> None:
        """Write `files`: path -> text."""
        for inside, text in files.items():
            self.path(inside).parent.mkdir(parents=True, exist_ok=True)
            self.path(inside).write_text(text)

    @property
    def pid(self) -> int:
        """Its PID 1, as numbered here. Raises RuntimeError if it is off."""
        found = children(self._process.pid) if self._process is not None else []
        if not found:
            raise RuntimeError("the machine is off")
        return found[0]

    def off(self) -> None:
        """Take its power: all that runs there is gone. Its files and cgroups go with the sandbox."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def unified_hierarchy() -> Path:
    """Return where cgroups of version 2 are on this host. Raises RuntimeError if it has none."""
    for path in (rundir.CGROUPS, *sorted(rundir.CGROUPS.iterdir())):
        if (path / "cgroup.controllers").exists() and (path / "cgroup.procs").exists():
            return path
    raise RuntimeError(f"nothing below {rundir.CGROUPS} is of version 2, which systemd wants to itself")
