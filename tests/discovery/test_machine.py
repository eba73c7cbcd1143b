"""The store of docker-machine as a list of engines."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest

from discovery import DiscoveryError, open_backend
from discovery.entry import Certificates

GUARD_S = 20.0


def add(store: Path, name: str, driver: dict[str, object], *, auth: dict[str, str] | None = None) -> Path:
    """Put a machine into the store, as docker-machine writes it."""
    directory = store / "machines" / name
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "ConfigVersion": 3,
        "Driver": {"MachineName": name, "SSHUser": "docker", "SSHPort": 22, **driver},
        "DriverName": "generic",
        "HostOptions": {"Driver": "", "Memory": 0, "AuthOptions": auth or {}, "SwarmOptions": {"IsSwarm": False}},
        "Name": name,
    }
    (directory / "config.json").write_text(json.dumps(config))
    return directory


async def test_hosts(tmp_path: Path) -> None:
    """Hosts come by name, at docker-machine's port unless they say another; one without an address is left out."""
    add(tmp_path, "b", {"IPAddress": "192.168.99.101"})
    add(tmp_path, "a", {"IPAddress": "192.168.99.100", "EnginePort": 3376})
    add(tmp_path, "c", {"URL": "tcp://build.example:2376"})
    add(tmp_path, "d", {"IPAddress": "fd00::1"})
    add(tmp_path, "being-made", {"IPAddress": ""})
    (tmp_path / "machines" / "begun").mkdir()
    entries = await open_backend(f"machine://{tmp_path}", heartbeat_s=60).fetch()
    assert [str(each) for each in entries] == [
        "192.168.99.100:3376",
        "192.168.99.101:2376",
        "build.example:2376",
        "[fd00::1]:2376",
    ]


async def test_certificates(tmp_path: Path) -> None:
    """Each host brings its files: those that it names, or those beside it in a store that was moved."""
    named = tmp_path / "elsewhere"
    named.mkdir()
    beside = add(tmp_path, "moved", {"IPAddress": "10.0.0.2"}, auth={"CaCertPath": "/gone/ca.pem"})
    for name in ("ca", "cert", "key"):
        (named / f"{name}.pem").touch()
        (beside / f"{name}.pem").touch()
    auth = {
        "CaCertPath": str(named / "ca.pem"),
        "ClientCertPath": str(named / "cert.pem"),
        "ClientKeyPath": str(named / "key.pem"),
    }
    add(tmp_path, "named", {"IPAddress": "10.0.0.1"}, auth=auth)
    add(tmp_path, "plain", {"IPAddress": "10.0.0.3"})
    entries = await open_backend(f"machine://{tmp_path}", heartbeat_s=60).fetch()
    assert {str(each): each.certificates for each in entries} == {
        "10.0.0.1:2376": Certificates(*(str(named / f"{name}.pem") for name in ("ca", "cert", "key"))),
        "10.0.0.2:2376": Certificates(*(str(beside / f"{name}.pem") for name in ("ca", "cert", "key"))),
        "10.0.0.3:2376": None,
    }


async def test_changes_are_noticed(tmp_path: Path) -> None:
    """Hosts come and go; a file that cannot be read keeps the last good list and says so once."""
    backend = open_backend(f"machine://{tmp_path}", heartbeat_s=60)
    async with aclosing(backend.watch()) as listings, asyncio.timeout(GUARD_S):  # type: ignore[type-var]
        listing = await anext(listings)
        assert "no directory `machines`" in listing.error
        directory = add(tmp_path, "a", {"IPAddress": "10.0.0.1"})
        listing = await anext(listings)
        assert [str(each) for each in listing.entries] == ["10.0.0.1:2376"]
        assert not listing.error
        (directory / "config.json").write_text("{")
        listing = await anext(listings)
        assert [str(each) for each in listing.entries] == ["10.0.0.1:2376"]
        assert "cannot read" in listing.error
        (directory / "config.json").unlink()
        listing = await anext(listings)
        assert (listing.entries, listing.error) == ((), "")


@pytest.mark.parametrize(("url", "words"), [("machine://", "path of a store")])
async def test_refused(url: str, words: str) -> None:
    """A URL without a path is refused."""
    with pytest.raises(DiscoveryError, match=words):
        open_backend(url, heartbeat_s=60)


async def test_bad_address(tmp_path: Path) -> None:
    """A host whose address is none is told by its name."""
    add(tmp_path, "odd", {"IPAddress": "a b"})
    with pytest.raises(DiscoveryError, match=r"machine odd: .*invalid host"):
        await open_backend(f"machine://{tmp_path}", heartbeat_s=60).fetch()
