"""The ways to build: the legacy builder, BuildKit as old clients have it, and buildx."""

import dataclasses
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.clients import Cli, Done, cli
from tests.hosts.engine import Engine
from tests.hosts.images import add_file
from tests.hosts.manager import Manager
from tests.program import Program

WAYS = {  # client, DOCKER_BUILDKIT, command
    "legacy-20.10": ("20.10", "0", ("build",)),
    "legacy-28": ("28", "0", ("build",)),
    "buildkit-20.10": ("20.10", "1", ("build",)),
    "buildx-26.1": ("26.1", "", ("build",)),
    "buildx-28": ("28", "", ("build",)),
    "buildx-load": ("28", "", ("buildx", "build", "--load")),
}
FILES = {
    "Dockerfile": "FROM busybox\nCOPY greeting /greeting\nRUN test -s /greeting\nCMD cat /greeting\n",
    "greeting": "hello\n",
}


def client_of(how: str) -> Cli:
    """Return the client of one way to build."""
    version, buildkit, _ = WAYS[how]
    return dataclasses.replace(cli(version), variables=(("DOCKER_BUILDKIT", buildkit),) if buildkit else ())


def build(manager: Manager, how: str, *arguments: str, stdin: bytes | str = b"", check: bool = True) -> Done:
    """Return what building with `arguments` in one way comes to."""
    return manager.docker(*WAYS[how][2], *arguments, stdin=stdin, check=check, with_cli=client_of(how))


def start(manager: Manager, how: str, *arguments: str, host: str = "") -> Program[bytes]:
    """Start to build in one way; the caller ends it (`with`)."""
    return client_of(how).spawn(host or manager.address, *WAYS[how][2], *arguments, tls=manager.client)


def written(directory: Path, files: Mapping[str, str]) -> str:
    """Write `files` into `directory`, which is made; return its path."""
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return str(directory)


def packed(files: Mapping[str, str]) -> bytes:
    """Return the tar of `files`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            add_file(tar, name, text.encode())
    return buffer.getvalue()


def holders(engines: list[Engine], tag: str) -> list[Engine]:
    """Return the engines that have an image with this tag."""
    return [
        engine
        for engine in engines
        if any(tag in (image["RepoTags"] or ()) for image in engine.get_json("/images/json"))
    ]
