"""`python -m benchmarks.fleet`: any number of simulated engines in one light process, each at an address of its own.

All listen on one socket: an engine is told from the others by the loopback address that a client has dialled. It prints
one line when it is ready. With `--ports` each engine has a port of 127.0.0.1 instead, and the line names the ports.
"""

import asyncio
import contextlib
import gc
import resource
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import uvloop

from benchmarks.certificates import Certificates, server_context
from benchmarks.fleet import bodies
from benchmarks.fleet.connection import Address, Connection
from benchmarks.fleet.control import Controller
from benchmarks.fleet.engine import Engine

BACKLOG = 4096
PER_BLOCK = 250  # engines whose addresses differ in the last number only


def address_of(number: int) -> str:
    """Return the loopback address of an engine: 127.1.0.1 of the first."""
    block, last = divmod(number, PER_BLOCK)
    return f"127.{1 + (block >> 8)}.{block & 255}.{1 + last}"


def number_of(address: str) -> int:
    """Return which engine has this address; below 0 for one that none has."""
    _, second, third, last = map(int, address.split("."))
    return (((second - 1) << 8) + third) * PER_BLOCK + last - 1 if 1 <= last <= PER_BLOCK else -1


def choose(engines: Sequence[Engine], dialled: Address) -> Engine | None:
    """Return the engine at an address."""
    number = number_of(dialled[0])
    return engines[number] if 0 <= number < len(engines) else None


def always(engine: Engine, dialled: Address) -> Engine:  # noqa: ARG001
    return engine


def take_all_descriptors() -> None:
    """Let this process have as many descriptors as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listen(port: int) -> socket.socket:
    """Return a socket that takes what comes to any loopback address."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with contextlib.suppress(PermissionError):  # before Linux 5.7 for root only
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    sock.bind(("0.0.0.0", port))
    return sock


async def serve(
    engines: Sequence[Engine],
    *,
    port: int,
    ports: bool,
    control: Path | None,
    tls: ssl.SSLContext | None,
    tell: Callable[[str], object],
) -> None:
    """Serve until cancelled; `tell` is called with the line about where, when all can be asked."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        if control is not None:
            server = await loop.create_unix_server(lambda: Controller(engines), str(control))
            stack.callback(server.close)
        if not ports:
            server = await loop.create_server(
                partial(Connection, partial(choose, engines)), sock=listen(port), backlog=BACKLOG, ssl=tls
            )
            stack.callback(server.close)
            tell(str(server.sockets[0].getsockname()[1]))
        else:
            taken = []
            for number, engine in enumerate(engines):
                factory = partial(Connection, partial(always, engine))
                server = await loop.create_server(
                    factory, "127.0.0.1", port + number if port else 0, backlog=BACKLOG, ssl=tls
                )
                stack.callback(server.close)
                taken.append(str(server.sockets[0].getsockname()[1]))
            tell(" ".join(taken))
        await loop.create_future()


@click.command()
@click.option("--engines", "count", default=10, show_default=True, help="How many to play.")
@click.option("--containers", default=30, show_default=True, help="How many each holds.")
@click.option("--port", default=0, help="Where all listen (the first, with --ports); 0 takes a free one.")
@click.option("--ports", is_flag=True, help="A port of 127.0.0.1 for each, instead of an address.")
@click.option("--first", default=0, help="Number of the first engine, with --ports.")
@click.option("--name", default="node", show_default=True, help="Engines are called NAME-00000 and so on.")
@click.option("--nodes", type=click.Path(path_type=Path), help="Write the addresses here, for the manager's file://.")
@click.option("--control", type=click.Path(path_type=Path), help="Take orders on this unix socket, see control.py.")
@click.option("--export-bytes", default=bodies.GIB, help="Size of an exported container.")
@click.option("--tls", type=click.Path(path_type=Path), help="Directory with the certificates; clients must have one.")
def main(
    *,
    count: int,
    containers: int,
    port: int,
    ports: bool,
    first: int,
    name: str,
    nodes: Path | None,
    control: Path | None,
    export_bytes: int,
    tls: Path | None,
) -> None:
    """Play any number of Docker engines; prints one line with its port, or ports, when they can be asked."""
    take_all_descriptors()
    numbers = range(first, first + count)
    engines = [Engine(f"{name}-{number:05}", number=number, containers=containers) for number in numbers]
    for engine in engines:
        engine.export_bytes = export_bytes

    def tell(line: str) -> None:
        if nodes is not None:
            nodes.write_text("".join(f"{address_of(number)}:{line}\n" for number in range(count)))
        print(line, flush=True)

    gc.freeze()
    gc.disable()  # nothing here is made in cycles
    context = server_context(Certificates(tls)) if tls else None
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(engines, port=port, ports=ports, control=control, tls=context, tell=tell))
    sys.exit(0)


if __name__ == "__main__":
    main()
