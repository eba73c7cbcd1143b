"""`--authz-plugin`: Docker's own authorization plugins, asked as dockerd asks them."""

import base64
import json
from typing import Any

import pytest

from tests.clients import cli
from tests.conftest import StartManager
from tests.hosts.certificates import Certificates
from tests.hosts.engine import Engine
from tests.integration.authz_plugin import ALLOWED, Word, authz_plugin
from tests.integration.client import Docker
from tests.integration.rawhttp import ask, request_bytes, send

REQUEST, RESPONSE = "AuthZReq", "AuthZRes"
DENIED = "authorization denied by plugin gate: "


def by_uri(word: Word, *parts: str, what: str = REQUEST) -> Any:
    """Return a decision that is `word` for requests whose URI holds one of `parts`, and else leave to go on."""

    def says(called: str, told: dict[str, Any]) -> Word:
        return word if called == what and any(part in told["RequestUri"] for part in parts) else ALLOWED

    return says


@pytest.mark.parametrize("version", ["28"])
def test_with_the_client(
    engines: list[Engine], start_manager: StartManager, certificates: Certificates, version: str
) -> None:
    """The CLI over TLS: what a plugin is told, whom it lets by, and what those are told that it does not."""
    with authz_plugin() as plugin:
        manager = start_manager(
            engines,
            tls=certificates.server,
            client=certificates.client,
            arguments=["--authz-plugin", f"gate={plugin.url}"],
        )
        docker = Docker(
            cli=cli(version), manager=manager, engines=engines, host=manager.address, tls=certificates.client
        )
        assert docker("run", "--rm", "--name", "once", "-e", "A=b", "busybox", "echo", "hi").stdout == "hi\n"
        [create] = [told for told in plugin.told(REQUEST, "") if "/containers/create" in told["RequestUri"]]
        assert (create["User"], create["UserAuthNMethod"]) == ("swarmproxy client", "TLS")
        assert create["RequestMethod"] == "POST"
        assert json.loads(create["RequestBody"])["Env"] == ["A=b"]
        assert create["RequestHeaders"]["Content-Type"] == "application/json"
        [pem] = create["RequestPeerCertificates"]
        assert base64.b64decode(pem) in certificates.client.cert.read_bytes()
        [created] = [told for told in plugin.told(RESPONSE, "") if "/containers/create" in told["RequestUri"]]
        assert created["ResponseStatusCode"] == 201
        assert "Id" in json.loads(created["ResponseBody"])
        assert (plugin.activated, plugin.accepted) == (1, {"application/vnd.docker.plugins.v1.1+json"})

        docker.start("web")
        assert docker("exec", "-i", "web", "cat", stdin=b"through").stdout == "through"
        assert json.loads(plugin.told(REQUEST, "/start")[-1]["RequestBody"])["Detach"] is False
        docker("cp", "-", "web:/", stdin=docker("cp", "web:/etc/hostname", "-").out)
        assert all("RequestBody" not in told for told in plugin.told(REQUEST, "path=%2F&noOverwriteDirNonDir=true"))

        plugin.says = by_uri({"Allow": False, "Msg": "not on my watch"}, "/exec", "/containers/json")
        assert docker.refused("ps").strip().endswith(f"{DENIED}not on my watch")
        assert DENIED in docker.refused("exec", "web", "true")
        plugin.says = by_uri({"Allow": False, "Msg": "not to be seen"}, "/containers/", what=RESPONSE)
        assert f"{DENIED}not to be seen" in docker.refused("inspect", "web")
        assert f"{DENIED}not to be seen" in docker.refused("top", "web")
        assert manager.request("GET", "/containers/web/logs?stdout=1")[0] == 200  # a stream is not asked about


def test_by_hand(engines: list[Engine], start_manager: StartManager) -> None:
    """What no client sends: bodies said to be something else, or too large, odd paths, credentials.

    And plugins that fail: they refuse.
    """
    with authz_plugin() as plugin, authz_plugin() as second:
        manager = start_manager(
            engines, arguments=["--authz-plugin", f"gate={plugin.url}", "--authz-plugin", second.url]
        )
        body = json.dumps({"Image": "busybox", "HostConfig": {"Privileged": True}}).encode()
        raw = request_bytes("POST", "/containers/create", body, "X-Registry-Auth: c2VjcmV0", "Authorization: Bearer x")
        assert send(manager, raw.replace(b"application/json", b"text/plain")).status in (201, 400)
        told = plugin.told(REQUEST, "/containers/create")[-1]
        assert told["RequestBody"] == body
        assert not {"X-Registry-Auth", "Authorization", "Host"} & set(told["RequestHeaders"])
        assert told.get("User") is None
        ask(manager, "POST", "/auth", json.dumps({"username": "me", "password": "secret"}).encode())
        assert "RequestBody" not in plugin.told(REQUEST, "/auth")[-1]
        assert len(plugin.told(REQUEST, "")) == len(second.told(REQUEST, ""))

        asked = len(plugin.calls)
        large = ask(manager, "POST", "/containers/create", b" " * (1024 * 1024 + 1))
        assert (large.status, "over 1048576 bytes" in large.message) == (413, True)
        assert ask(manager, "GET", "/containers/../info").status == 404
        assert len(plugin.calls) == asked
        ask(manager, "GET", "/containers/%6Ason?all=1")
        assert plugin.told(REQUEST, "/containers/json?all=1")

        failed = "plugin gate failed with error: "
        words: list[tuple[Word, int, str]] = [
            ({"Allow": False, "Msg": "no"}, 403, f"{DENIED}no"),
            ({"Allow": True, "Err": "out of order"}, 500, f"{failed}out of order"),
            ({}, 403, DENIED),
            (b"<html>", 500, f"{failed}AuthZPlugin.AuthZReq was answered with something unreadable"),
            (None, 500, failed),
        ]
        for word, status, message in words:
            plugin.says = by_uri(word, "/version")
            answer = ask(manager, "GET", "/version")
            assert answer.status == status
            assert answer.message.startswith(message)
        plugin.says = by_uri(ALLOWED)
        second.says = by_uri({"Allow": False, "Msg": "nor me"}, "/version")
        assert ask(manager, "GET", "/version").message.endswith(": nor me")
        assert ask(manager, "GET", "/info").status == 200
        plugin.says = by_uri(None, "/version")
        assert ask(manager, "GET", "/version").status == 500  # its connection is closed
    assert ask(manager, "GET", "/info").message.startswith(f"{failed}127.0.0.1:")
