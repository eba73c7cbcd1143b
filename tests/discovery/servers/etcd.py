"""Real etcd servers, spoken to by the tests through etcd's JSON gateway or its v2 API: not by what is tested."""

import base64
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from benchmarks.processes import free_port
from tests.discovery.servers.process import ServerProcess, Store, wait_until
from tests.hosts.certificates import Certificates

HOST_PROGRAM = Path("/usr/bin/etcd")  # etcd-server of the machine's own release: 3.4
USER, PASSWORD = "root", "s3cret word"


class Etcd(Store):
    """One server: plain, or with TLS that demands certificates, or with TLS and passwords; v2 on demand."""

    scheme = "etcd"
    ttl_s = 3.0  # it would take 2, but a busy machine might not renew in time

    def __init__(
        self,
        directory: Path,
        *,
        program: Path = HOST_PROGRAM,
        api: str = "",
        serves_v2: bool = False,
        certificates: Certificates | None = None,
        demands_certificates: bool = False,
        demands_password: bool = False,
        peers: Sequence[str] = (),
        more: Sequence[str] = (),
        host: str = "127.0.0.1",
    ) -> None:
        """Choose its port; nothing runs yet. `peers`: where the members of a cluster talk, this one first.

        `more`: further arguments. `host`: where it listens.
        """
        directory.mkdir(parents=True, exist_ok=True)
        scheme = "https" if certificates else "http"
        port = free_port()
        self.address = f"{host}:{port}"
        self.options = {"etcd.api": api} if api else {}
        self._speaks_v2 = api == "v2"
        self._demands_password = demands_password
        self._token = ""
        peers = peers or [f"http://127.0.0.1:{free_port()}"]
        cluster = ",".join(f"{peer.rpartition(':')[2]}={peer}" for peer in peers)
        self._data = directory / "data"
        command: list[str | Path] = [
            program,
            "--data-dir",
            self._data,
            "--logger",
            "zap",
            "--log-level",
            "warn",
        ]
        command += ["--listen-client-urls", f"{scheme}://{self.address}"]
        command += ["--advertise-client-urls", f"{scheme}://{self.address}"]
        command += ["--name", peers[0].rpartition(":")[2], "--initial-cluster", cluster]
        command += ["--listen-peer-urls", peers[0], "--initial-advertise-peer-urls", peers[0]]
        command += ["--max-txn-ops", "4096"]
        command += ["--heartbeat-interval", "50", "--election-timeout", "500", *more]
        if serves_v2:
            command += ["--enable-v2"]
        context: ssl.SSLContext | bool = False
        if certificates is not None:
            command += ["--cert-file", certificates.server.cert, "--key-file", certificates.server.key]
            self.options["kv.cacertfile"] = str(certificates.client.ca)
            context = ssl.create_default_context(cafile=certificates.client.ca)
            if demands_certificates:
                command += ["--client-cert-auth", "--trusted-ca-file", certificates.server.ca]
                self.options["kv.certfile"] = str(certificates.client.cert)
                self.options["kv.keyfile"] = str(certificates.client.key)
                context.load_cert_chain(certificates.client.cert, certificates.client.key)
        if demands_password:
            self.options.update({"etcd.user": USER, "etcd.password": PASSWORD})
        self._client = httpx.Client(base_url=f"{scheme}://{self.address}", verify=context, trust_env=False, timeout=10)
        self._process = ServerProcess(command, directory / "log")

    def launch(self) -> None:
        """Start it, and do not wait for anything."""
        self._process.start()

    def start(self) -> None:
        """Start it; the first time also create the user."""
        self.launch()
        wait_until(self._does_answer, "etcd", self._process)
        if self._demands_password and not self._token:
            self._ask("/v3/auth/user/add", {"name": USER, "password": PASSWORD})
            self._ask("/v3/auth/user/grant", {"user": USER, "role": "root"})
            self._ask("/v3/auth/enable", {})
            self._log_in()

    def _does_answer(self) -> bool:
        try:
            return bool(self._client.get("/health").json().get("health") == "true")
        except (httpx.HTTPError, ValueError):
            return False

    def close(self) -> None:
        """End it for good."""
        super().close()
        self._client.close()

    def write(self, values: Mapping[str, str]) -> None:
        """Set the keys: in one transaction, or one by one in v2."""
        if self._speaks_v2:
            for key, value in values.items():
                self._client.put(self._v2(key), data={"value": value}).raise_for_status()
            return
        puts = [{"requestPut": {"key": _encode(key), "value": _encode(value)}} for key, value in values.items()]
        self._ask("/v3/kv/txn", {"success": puts})

    def read(self, key: str) -> str | None:
        """Return the value of `key`."""
        if self._speaks_v2:
            answer = self._client.get(self._v2(key)).json()
            return answer["node"].get("value") if "node" in answer else None
        found = self._ask("/v3/kv/range", {"key": _encode(key)}).get("kvs")
        return base64.b64decode(found[0].get("value", "")).decode() if found else None

    def remove(self, key: str) -> None:
        """Remove `key`."""
        if self._speaks_v2:
            self._client.delete(self._v2(key)).raise_for_status()
        else:
            self._ask("/v3/kv/deleterange", {"key": _encode(key)})

    def compact(self) -> None:
        """Forget the history of v3 up to now."""
        self._ask("/v3/kv/compaction", {"revision": self.revision(), "physical": True})

    def revision(self) -> int:
        """Return how many changes v3 has seen."""
        return int(self._ask("/v3/kv/range", {"key": _encode("any")})["header"]["revision"])

    def _v2(self, key: str) -> str:
        return f"/v2/keys/{quote(key, safe='/:?=')}"

    def _log_in(self) -> None:
        self._token = ""
        self._token = self._ask("/v3/auth/authenticate", {"name": USER, "password": PASSWORD})["token"]

    def _ask(self, path: str, body: object) -> dict[str, Any]:
        answer = self._client.post(path, json=body, headers={"Authorization": self._token} if self._token else {})
        if self._token and answer.status_code == httpx.codes.UNAUTHORIZED:  # tokens do not survive a restart
            self._log_in()
            return self._ask(path, body)
        assert answer.status_code == httpx.codes.OK, f"{path}: {answer.text}"
        result: dict[str, Any] = answer.json()
        return result


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
