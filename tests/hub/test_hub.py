"""The hub as a process: the protocol that classic's agents speak, its bounds, and how it ends."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.discovery.servers.hub import GUARD_S, UNLIMITED, Hub
from tests.discovery.servers.process import wait_until

TOKEN = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Yield a hub that lets any number of requests through, and has 3 entries for each token."""
    made = Hub(tmp_path_factory.mktemp("hub"), *UNLIMITED, "--max-entries", "3")
    made.start()
    yield made
    made.process.kill()


def message(answer: httpx.Response) -> str:
    """Return the message of an error in Docker's form, which it has to be in."""
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["message"]
    return str(answer.json()["message"])


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_protocol(hub: Hub, prefix: str) -> None:
    """A token is plain text, an entry is posted bare, and a list is JSON, sorted; below /v1 too, as it once was."""
    created = hub.ask("POST", f"{prefix}/clusters")
    assert (created.status_code, created.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    assert TOKEN.fullmatch(created.text)
    path = f"{prefix}/clusters/{created.text}"
    assert hub.ask("GET", path).text == "[]"
    for address in ("b:1", "[::1]:2375", "a:1", "a:1"):
        assert hub.ask("POST", f"{path}?ttl=60", address).status_code == 204
    listed = hub.ask("GET", path)
    assert (listed.status_code, listed.headers["content-type"]) == (200, "application/json")
    assert listed.text == '["[::1]:2375","a:1","b:1"]'
    assert hub.ask("DELETE", f"{path}/%5B::1%5D:2375").status_code == 204
    assert hub.ask("DELETE", f"{path}/never:1").status_code == 204
    assert hub.ask("GET", path).json() == ["a:1", "b:1"]


def test_tokens_differ(hub: Hub) -> None:
    """No two tokens are the same."""
    assert len({hub.create() for _ in range(20)}) == 20


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", "?ttl=9"), ("DELETE", "/a:1")])
def test_unknown_token(hub: Hub, method: str, rest: str) -> None:
    """A token that nobody was given is not found."""
    answer = hub.ask(method, f"/clusters/{'0' * 32}{rest}", "a:1")
    assert (answer.status_code, message(answer)) == (404, "no such token")


@pytest.mark.parametrize(
    ("query", "body", "status", "problem"),
    [
        ("", "a", 400, "address a: missing port in address"),
        ("", "", 400, "address : missing port in address"),
        ("", "http://a:1", 400, "too many colons in address"),
        ("", "unix:///run/docker.sock", 400, "a hub lists host:port only"),
        ("", '"a:1"', 400, "invalid host in address"),
        ("?ttl=x", "a:1", 400, "ttl is a number of seconds"),
        ("?ttl=-1", "a:1", 400, "ttl is a number of seconds"),
        ("?ttl=0", "a:1", 400, "ttl is a number of seconds"),
        ("", "a" * 1025, 413, "request body is larger than 1024 bytes"),
    ],
)
def test_bad_entries(hub: Hub, query: str, body: str, status: int, problem: str) -> None:
    """What would break a classic manager's list never gets into one."""
    token = hub.create()
    answer = hub.ask("POST", f"/clusters/{token}{query}", body)
    assert answer.status_code == status
    assert problem in message(answer)
    assert hub.entries(token) == []


def test_long_and_missing_ttl(hub: Hub) -> None:
    """An entry without a time to live has one, and a very long one is taken for the longest."""
    token = hub.create()
    for query in ("", "?ttl=999999999999"):
        assert hub.ask("POST", f"/clusters/{token}{query}", "a:1").status_code == 204


def test_too_many_entries(hub: Hub) -> None:
    """A token has so many entries and no more; those it has are renewed."""
    token = hub.create()
    for number in (1, 2, 3, 3):
        assert hub.ask("POST", f"/clusters/{token}?ttl=60", f"a:{number}").status_code == 204
    refused = hub.ask("POST", f"/clusters/{token}?ttl=60", "a:4")
    assert (refused.status_code, message(refused)) == (403, "this token has its 3 entries, and takes no more")
    assert hub.entries(token) == ["a:1", "a:2", "a:3"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/clusters"), ("PUT", "/clusters/x"), ("GET", "/docs")]
)
def test_no_such_page(hub: Hub, method: str, path: str) -> None:
    """What is not part of the protocol is not there."""
    answer = hub.ask(method, path)
    assert (answer.status_code, message(answer)) == (404, "page not found")


def test_ping(hub: Hub) -> None:
    """A health check has something to ask, on a unix socket too."""
    assert hub.ask("GET", "/_ping").text == "OK"
    assert hub.ask("HEAD", "/_ping").status_code == 200
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(hub.socket)), timeout=GUARD_S) as client:
        assert client.get("http://hub/_ping").text == "OK"


def test_expiry(hub: Hub) -> None:
    """An entry that is not renewed is gone after its time to live, one that is stays."""
    token = hub.create()
    hub.ask("POST", f"/clusters/{token}?ttl=1", "gone:1")
    hub.ask("POST", f"/clusters/{token}?ttl=600", "stays:1")
    wait_until(lambda: hub.entries(token) == ["stays:1"], "the expiry", hub.process)


def test_restart(hub: Hub) -> None:
    """A hub that was killed has its tokens and entries when it is back."""
    token = hub.create()
    hub.ask("POST", f"/clusters/{token}?ttl=60", "a:1")
    hub.restart()
    assert hub.entries(token) == ["a:1"]


def test_many_at_once(hub: Hub) -> None:
    """Whoever does not send, or not enough, holds up nobody."""
    host, _, port = hub.address.partition(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(50)]
    for connection in idle[::2]:
        connection.sendall(b"POST /clusters/x HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\nhalf")
    assert TOKEN.fullmatch(hub.create())
    for connection in idle:
        connection.close()


def test_rates(tmp_path: Path) -> None:
    """Who asks too often is told to come later, by TCP; the unix socket is for those that are trusted."""
    hub = Hub(tmp_path, "--rate", "1", "--create-rate", "2", "--max-tokens", "3")
    hub.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(hub.socket)), timeout=GUARD_S) as trusted:
            created = [hub.ask("POST", "/clusters") for _ in range(3)]
            assert [answer.status_code for answer in created] == [200, 200, 429]
            assert 1 <= int(created[2].headers["retry-after"]) <= 30
            assert "too many requests" in message(created[2])
            path = f"/clusters/{created[0].text}"
            answers = [hub.ask("GET", path).status_code for _ in range(50)]
            assert {200, 429} == set(answers)
            assert trusted.get(f"http://hub{path}").status_code == 200
            assert trusted.post("http://hub/clusters").status_code == 200
            full = trusted.post("http://hub/clusters")
            assert (full.status_code, message(full)) == (503, "this hub has its 3 tokens, and gives no more")
    finally:
        assert hub.terminate() == 0
    log = (tmp_path / "hub.log").read_text()
    assert log.count("too many requests") == 2  # of creations, and of requests


def test_sigterm(tmp_path: Path) -> None:
    """SIGTERM ends a hub with 0, and leaves what it knows behind, but no socket."""
    hub = Hub(tmp_path)
    hub.start()
    token = hub.create()
    hub.ask("POST", f"/clusters/{token}?ttl=60", "a:1")
    assert hub.terminate() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub.db", "hub.log"]
    assert token not in (tmp_path / "hub.log").read_text()
    hub.start()
    assert hub.entries(token) == ["a:1"]
    assert hub.terminate() == 0


def test_frozen(tmp_path: Path) -> None:
    """While a hub stands still nobody can renew an entry, so none expires."""
    hub = Hub(tmp_path)
    hub.start()
    token = hub.create()
    hub.ask("POST", f"/clusters/{token}?ttl=8", "a:1")  # it may stand still a little longer than we think
    hub.process.freeze()
    time.sleep(8.2)
    hub.process.thaw()
    assert hub.entries(token) == ["a:1"]
    assert hub.terminate() == 0


def test_full_disk(tmp_path: Path) -> None:
    """A hub that cannot write says so, goes on answering what it knows, and writes again when it can."""
    hub = Hub(tmp_path, *UNLIMITED)
    hub.start()
    token = hub.create()
    hub.ask("POST", f"/clusters/{token}?ttl=60", "a:1")
    hub.limit_files("1")
    refused = hub.ask("POST", f"/clusters/{token}?ttl=60", "b:1")
    assert refused.status_code == 503
    assert message(refused).startswith("the hub cannot keep its data: ")
    assert hub.entries(token) == ["a:1"]
    hub.limit_files("unlimited")
    assert hub.ask("POST", f"/clusters/{token}?ttl=60", "b:1").status_code == 204
    assert hub.entries(token) == ["a:1", "b:1"]
    assert hub.terminate() == 0
    assert 'msg="the hub keeps its data again"' in (tmp_path / "hub.log").read_text()
