"""The image's health check: every socket that a process of this container listens on has to answer.

Docker's API is asked for `/_ping`, and a listener that has no such path, as that of `--metrics-addr`, for `/-/healthy`.
The kernel is asked for the sockets, not $SWARM_HOST: `-H` replaces that, may be given several times, and may name a
unix socket. Only `manage` has to listen: the other commands are healthy for as long as they run. Exits with 0 or 1.
Linux and the standard library only, and quick: it runs every few seconds.
"""

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_S = 4.0  # below the one in the Dockerfile, so that the reason is logged
PATHS = ("/_ping", "/-/healthy")
WELL = (b"200", b"401", b"403", b"429")  # also for one that wants to know who asks, or not so often
NOT_FOUND = b"404"
# A listener with TLS may demand a certificate, which we do not have. What it tells a client that speaks no TLS is
# proof enough that it is at work.
TLS_ONLY = b"Client sent an HTTP request to an HTTPS server"
MANAGE = frozenset({"manage", "m"})
TCP_LISTEN = "0A"  # Source: include/net/tcp_states.h of the kernel
UNIX_ACCEPTS = 0x10000  # Source: __SO_ACCEPTCON in include/uapi/linux/net.h of the kernel


def main() -> int:
    """Return the exit status; what is printed is shown by `docker inspect`."""
    addresses = sorted(listeners(open_sockets()))
    problems = {address: problem_of(address) for address in addresses}
    if not addresses and is_manager():
        problems = {"manage": "listens on nothing"}
    sys.stdout.writelines(f"{address}: {problem or 'ok'}\n" for address, problem in problems.items())
    return int(any(problems.values()))


def is_manager() -> bool:
    """Say whether a process of this container has been told to manage a cluster."""
    return any(not MANAGE.isdisjoint(read(path).split("\0")) for path in Path("/proc").glob("[0-9]*/cmdline"))


def open_sockets() -> set[str]:
    """Return the inodes of the sockets that processes of our user and PID namespace have open."""
    found: set[str] = set()
    for directory in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):  # another user's process, or it has ended
            for entry in directory.iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    kind, _, inode = str(entry.readlink()).partition(":")
                    if kind == "socket":
                        found.add(inode.strip("[]"))
    return found


def listeners(inodes: set[str]) -> Iterator[str]:
    """Yield "host:port" or a path for each of the sockets that listens. A container may share its host's network."""
    for fields in (*table("tcp"), *table("tcp6")):
        if fields[3] == TCP_LISTEN and fields[9] in inodes:
            address, _, port = fields[1].partition(":")
            yield f"{host_of(address)}:{int(port, 16)}"
    for fields in table("unix", columns=8):
        if int(fields[3], 16) & UNIX_ACCEPTS and fields[6] in inodes and len(fields) == 8:
            yield fields[7]


def table(name: str, columns: int = 0) -> list[list[str]]:
    """Return the rows of a table of sockets; the last of `columns` may have spaces in it. Source: proc(5)."""
    return [line.split(maxsplit=columns - 1) for line in read(Path("/proc/net", name)).splitlines()[1:]]


def read(path: Path) -> str:
    """Return what is in a file of /proc; "" if there is none: a process that has ended, a kernel without IPv6."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def host_of(text: str) -> str:
    """Return where a socket bound to `text`, hexadecimal words of 32 bits in the machine's order, is reached."""
    words = [int(text[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return "localhost" if address.is_unspecified else str(address)


def problem_of(address: str) -> str:
    """Return what is wrong with the listener at `address`; "" if it answers."""
    for path in PATHS:
        try:
            answer = answer_of(address, path)
        except OSError as error:
            return str(error)
        status = answer.partition(b" ")[2][:3]
        if status in WELL or TLS_ONLY in answer:
            return ""
        if status != NOT_FOUND:
            return f"answers {answer[:80]!r}"
    return ""  # neither Docker's API nor that of --metrics-addr: it answers, and has nothing to say of its health


def answer_of(address: str, path: str) -> bytes:
    """Return how the listener at `address` begins its answer. Raises OSError."""
    with connect(address) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with connection.makefile("rb") as stream:
            return stream.read(4096)


def connect(address: str) -> socket.socket:
    """Return a connection to `address`. Raises OSError."""
    if not address.startswith("/"):
        host, _, port = address.rpartition(":")
        return socket.create_connection((host, int(port)), TIMEOUT_S)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TIMEOUT_S)
    connection.connect(address)
    return connection


if __name__ == "__main__":
    sys.exit(main())
