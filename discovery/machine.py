"""`machine:///root/.docker/machine`: the hosts in a store of docker-machine, with their certificates.

Source: docker-machine 0.16, commands/env.go and libmachine/persist/filestore.go, for what the store looks like.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from discovery.backend import Listing, ReadOnly
from discovery.entry import Certificates, Entry, parse_entry
from discovery.errors import DiscoveryError

POLL_S = 1.0
ENGINE_PORT = 2376

_Stamps = tuple[tuple[str, int, int], ...]  # of each config.json: path, inode, time of the last change


class _Driver(msgspec.Struct):
    IPAddress: str = ""
    EnginePort: int = 0
    URL: str = ""  # of the driver "none", for hosts that were only made known


class _Auth(msgspec.Struct):
    CaCertPath: str = ""
    ClientCertPath: str = ""
    ClientKeyPath: str = ""


class _HostOptions(msgspec.Struct):
    AuthOptions: _Auth | None = None


class _Host(msgspec.Struct):
    Name: str = ""
    Driver: _Driver | None = None
    HostOptions: _HostOptions | None = None


class MachineBackend(ReadOnly):
    """The hosts of a store. One that has no address yet is being made, and does not count."""

    def __init__(self, path: str) -> None:
        """Name the store, which need not exist yet. Raises DiscoveryError if `path` is empty."""
        if not path or "\x00" in path:
            raise DiscoveryError("machine discovery needs the path of a store: machine:///root/.docker/machine")
        self._path = Path(path).expanduser()
        self.source = f"machine://{path}"

    async def watch(self) -> AsyncIterator[Listing]:
        """Yield the hosts, and again within a second or two of each change. See Backend."""
        listing, seen = Listing(()), None
        while True:
            stamps = self._stamps()
            if stamps != seen:
                before, first = listing, seen is None
                try:
                    listing = Listing(self._read(), read_at=time.time())
                except DiscoveryError as error:
                    listing = Listing(before.entries, read_at=before.read_at, error=str(error))
                if first or listing.error != before.error or listing.entries != before.entries:
                    yield listing
                seen = stamps
            await asyncio.sleep(POLL_S)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return the hosts that are in the store now. Raises DiscoveryError."""
        return self._read()

    def _configs(self) -> list[Path]:
        return sorted((self._path / "machines").glob("*/config.json"))

    def _stamps(self) -> _Stamps:
        stamps = [(str(self._path), int((self._path / "machines").is_dir()), 0)]
        for config in self._configs():
            try:
                now = config.stat()
            except OSError:
                continue  # removed at this moment
            stamps.append((str(config), now.st_ino, now.st_mtime_ns))
        return tuple(stamps)

    def _read(self) -> tuple[Entry, ...]:
        if not (self._path / "machines").is_dir():
            raise DiscoveryError(f"{self._path} is no store of docker-machine: it has no directory `machines`")
        found = [self._entry(config) for config in self._configs()]
        return tuple(entry for entry in found if entry is not None)

    def _entry(self, config: Path) -> Entry | None:
        """Return the host that `config` describes; None if it has no address. Raises DiscoveryError."""
        try:
            host = msgspec.json.decode(config.read_bytes(), type=_Host)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DiscoveryError(f"cannot read {config}: {error}") from error
        driver = host.Driver or _Driver()
        address = urlsplit(driver.URL).netloc
        if not address and driver.IPAddress:
            ip = f"[{driver.IPAddress}]" if ":" in driver.IPAddress else driver.IPAddress
            address = f"{ip}:{driver.EnginePort or ENGINE_PORT}"
        if not address:
            return None
        try:
            entry = parse_entry(address)
        except DiscoveryError as error:
            raise DiscoveryError(f"machine {host.Name or config.parent.name}: {error}") from error
        auth = (host.HostOptions and host.HostOptions.AuthOptions) or _Auth()
        return Entry(entry.host, entry.port, certificates=self._certificates(config.parent, auth))

    def _certificates(self, directory: Path, auth: _Auth) -> Certificates | None:
        """Return the files to speak TLS with: those named, or those beside, in a store that was moved here."""
        files = []
        for named, name in ((auth.CaCertPath, "ca"), (auth.ClientCertPath, "cert"), (auth.ClientKeyPath, "key")):
            places = [Path(named)] if named else []
            places += [directory / f"{name}.pem", self._path / "certs" / f"{name}.pem"]
            there = next((place for place in places if place.is_file()), None)
            if there is None:
                return None
            files.append(str(there))
        return Certificates(*files)
