"""The managers' document in a file, for a cluster without a store."""

import asyncio
import os
import tempfile
from pathlib import Path

from discovery.errors import DiscoveryError
from discovery.keeping import ChangedElsewhereError, aside

MODE = 0o600
MAX_BYTES = 16 * 1024 * 1024


class FileKeeper:
    """A Keeper. A reader, and a machine that loses its power, finds the old document or the new one, whole."""

    def __init__(self, path: Path) -> None:
        """Name the file, which need not be there; its directory has to. Raises DiscoveryError if it is not."""
        self._path = path
        if not path.parent.is_dir():
            raise DiscoveryError(f"the state file {path} cannot be: there is no directory {path.parent}")
        self._known: bytes | None = None

    async def read(self) -> bytes | None:
        """Return what is in the file."""
        self._known = await asyncio.to_thread(self._read)
        return self._known

    async def write(self, data: bytes) -> None:
        """Put another file in the place of this one, unless somebody has edited it."""
        # Not to be left half done: once begun, it ends, whatever becomes of who asked for it.
        await asyncio.shield(asyncio.to_thread(self._write, data))

    async def set_aside(self, data: bytes) -> str:
        """Write `data` into a file beside."""
        path = Path(aside(str(self._path)))
        await asyncio.to_thread(self._replace, path, data)
        return str(path)

    async def close(self) -> None:
        """Do nothing."""

    def _read(self) -> bytes | None:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DiscoveryError(f"the state file {self._path} cannot be read: {error.strerror or error}") from error
        if len(data) > MAX_BYTES:
            raise DiscoveryError(f"the state file {self._path} cannot be read: it is over {MAX_BYTES} bytes")
        return data

    def _write(self, data: bytes) -> None:
        if self._read() != self._known:
            raise ChangedElsewhereError(f"the state file {self._path} was changed by somebody else")
        self._replace(self._path, data)
        self._known = data

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = ""
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, MODE)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            Path(temporary).replace(path)
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            raise DiscoveryError(f"the state file {path} cannot be written: {error.strerror or error}") from error
