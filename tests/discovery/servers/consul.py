"""A real consul, one server, plain or with TLS and access control."""

import base64
import json
import ssl
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks.processes import free_port
from tests.discovery.servers.process import ServerProcess, Store, wait_until
from tests.hosts import suites
from tests.hosts.certificates import Certificates


class Consul(Store):
    """One consul server. With `certificates` it demands a client certificate, and a token for everything."""

    scheme = "consul"
    ttl_s = 2.0

    def __init__(
        self,
        directory: Path,
        *,
        certificates: Certificates | None = None,
        session_ttl_min: str = "1s",
        host: str = "127.0.0.1",
    ) -> None:
        """Lay it out in `directory`; nothing runs yet. `host`: where it listens.

        `session_ttl_min` is the floor of sessions, half that of our TTLs; "" leaves it at consul's 10s.
        """
        directory.mkdir(parents=True)
        self._certificates = certificates
        self._data = directory / "data"
        self._port = free_port()
        self.master = str(uuid.uuid4()) if certificates else ""
        """A token with all rights; empty without access control."""
        self.address = f"{host}:{self._port}"
        self.options: Mapping[str, str] = {}
        config = {
            "server": True,
            "bootstrap_expect": 1,
            "bind_addr": "127.0.0.1",
            "client_addr": host,
            "data_dir": str(self._data),
            "disable_update_check": True,
            "node_name": "one",
            "performance": {"raft_multiplier": 1},
            "ports": {
                "http": -1 if certificates else self._port,
                "https": self._port if certificates else -1,
                "dns": -1,
                "grpc": -1,
                "serf_wan": -1,
                "serf_lan": free_port(),
                "server": free_port(),
            },
        }
        if session_ttl_min:
            config["session_ttl_min"] = session_ttl_min
        if certificates:
            config |= {
                "ca_file": str(certificates.server.ca),
                "cert_file": str(certificates.server.cert),
                "key_file": str(certificates.server.key),
                "verify_incoming_https": True,
                "acl": {
                    "enabled": True,
                    "default_policy": "deny",
                    "tokens": {"master": self.master, "agent": self.master},
                },
            }
            self.options = {
                "consul.token": self.master,
                "kv.cacertfile": str(certificates.client.ca),
                "kv.certfile": str(certificates.client.cert),
                "kv.keyfile": str(certificates.client.key),
            }
        (directory / "config.json").write_text(json.dumps(config))
        program = suites.store_root("consul") / "usr/bin/consul"
        command = (program, "agent", f"-config-file={directory / 'config.json'}")
        self._process = ServerProcess(command, directory / "log")

    def start(self) -> None:
        self._process.start()
        wait_until(self.does_answer, "consul", self._process)

    def does_answer(self) -> bool:
        """Say whether it takes what is written."""
        # It listens before it has a leader, and refuses to write until then.
        with self._client() as client:
            try:
                return client.put("/v1/kv/ready", content=b"").status_code == 200
            except httpx.TransportError:
                return False

    def write(self, values: Mapping[str, str]) -> None:
        with self._client() as client:
            for key, value in values.items():
                client.put(f"/v1/kv/{key}", content=value.encode()).raise_for_status()

    def read(self, key: str) -> str | None:
        found = self.inspect(key)
        return base64.b64decode(found["Value"] or "").decode() if found else None

    def remove(self, key: str) -> None:
        with self._client() as client:
            client.delete(f"/v1/kv/{key}").raise_for_status()

    def inspect(self, key: str) -> dict[str, Any]:
        """Return all that consul says of `key`: Value (base64), Flags, Session, and so on; {} if it is not there."""
        with self._client() as client:
            answer = client.get(f"/v1/kv/{key}")
        return dict(answer.json()[0]) if answer.status_code == 200 else {}

    def session_of(self, key: str) -> dict[str, Any]:
        """Return all that consul says of the session that holds `key`."""
        held = self.inspect(key)["Session"]
        return next(session for session in self.get("/v1/session/list") if session["ID"] == held)

    def put(self, path: str, **body: object) -> Any:
        """Return the answer to a PUT of anything, as the one with all rights."""
        with self._client() as client:
            return client.put(path, json=body).raise_for_status().json()

    def get(self, path: str) -> Any:
        """Return the answer to a GET, as the one with all rights."""
        with self._client() as client:
            return client.get(path).raise_for_status().json()

    def grant(self, rules: str) -> str:
        """Return a new token for `rules`, in consul's language."""
        policy = self.put("/v1/acl/policy", Name=f"policy-{uuid.uuid4()}", Rules=rules)
        return str(self.put("/v1/acl/token", Policies=[{"ID": policy["ID"]}])["SecretID"])

    def restrict(self, token: str) -> None:
        """Take all rights from `token`, which stays known."""
        accessor = next(one["AccessorID"] for one in self.get("/v1/acl/tokens") if self._secret(one) == token)
        self.put(f"/v1/acl/token/{accessor}", AccessorID=accessor, Policies=[])

    def _secret(self, listed: dict[str, Any]) -> str:
        with self._client() as client:
            return str(client.get(f"/v1/acl/token/{listed['AccessorID']}").json()["SecretID"])

    def _client(self) -> httpx.Client:
        headers = {"X-Consul-Token": self.master} if self.master else {}
        # Without TLS an empty context: to read the system's authorities takes longer than all else.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._certificates:
            pair = self._certificates.client
            context.load_verify_locations(pair.ca)
            context.load_cert_chain(pair.cert, pair.key)
        scheme = "https" if self._certificates else "http"
        return httpx.Client(
            base_url=f"{scheme}://{self.address}", headers=headers, verify=context, trust_env=False, timeout=5
        )
