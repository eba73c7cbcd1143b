"""PID 1 of a new set of namespaces: prepares them, runs one program, reaps, and ends with that program.

Run by path (`python -I init.py PLAN`) behind `unshare --fork`, so it uses the standard library only. PLAN is
JSON:

- `before`, `after`: commands to run before and after the network of this host is in place;
- `files`: path -> text, written after `before`;
- `hostname`: the name of this host; "" keeps the one it has;
- `ready_fd`, `go_fd`: "ready" is told when the namespaces exist; "go" is awaited before `after`; -1 for none;
- `pass_fds`: listening sockets opened outside, handed to the program as systemd would (LISTEN_FDS);
- `listen`: more addresses, [ip, port], to listen on from inside, handed over in the same way;
- `keep_fds`: descriptors that stay open here and are not passed on;
- `argv`: the program; it has our environment.

When this process dies the kernel kills every other process in its PID namespace: that is how a host loses
power.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

FIRST_LISTEN_FD = 3  # Source: sd_listen_fds(3)


def main() -> int:
    """Return the exit status of the program: 128 + signal number if a signal ended it."""
    plan: dict[str, Any] = json.loads(sys.argv[1])
    for command in plan.get("before", []):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    for path, text in plan.get("files", {}).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    if plan.get("hostname"):
        socket.sethostname(plan["hostname"])
    if plan.get("ready_fd", -1) >= 0:
        os.write(plan["ready_fd"], b"ready")
        os.close(plan["ready_fd"])
    if plan.get("go_fd", -1) >= 0:
        granted = os.read(plan["go_fd"], 2)
        os.close(plan["go_fd"])
        if not granted:  # whoever started this host died before it was plugged in
            return 1
    for command in plan.get("after", []):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    sockets = list(plan.get("pass_fds", []))
    sockets += [listen(host, port) for host, port in plan.get("listen", [])]
    pid = spawn(plan["argv"], sockets)
    for descriptor in sockets:
        os.close(descriptor)
    return reap_until_gone(pid)


def listen(host: str, port: int) -> int:
    """Return the descriptor of a socket that listens on `host`:`port`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(512)
    return listener.detach()


def spawn(argv: list[str], sockets: list[int]) -> int:
    """Return the PID of the program; its descriptors are 0, 1, 2 and, from 3 on, `sockets`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        # Out of the way first: a wanted number may be in use by another of them.
        high = [os.dup2(os.dup(descriptor), 200 + index) for index, descriptor in enumerate(sockets)]
        for index, descriptor in enumerate(high):
            os.dup2(descriptor, FIRST_LISTEN_FD + index, inheritable=True)
        os.closerange(FIRST_LISTEN_FD + len(sockets), 256)
        if sockets:
            os.environ |= {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid())}
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def reap_until_gone(pid: int) -> int:
    """Return the exit status of `pid`; meanwhile reap whatever else is orphaned, and pass SIGTERM on."""

    def pass_on(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    signal.signal(signal.SIGTERM, pass_on)
    # The terminal sends it to the program as well. A handler, not SIG_IGN: that would be inherited.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    while True:
        gone, status = os.wait()
        if gone == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
