"""A real ZooKeeper, one server, plain or with TLS and a user whose nodes are nobody else's."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from benchmarks.processes import free_port
from tests.discovery.servers.process import ServerProcess, Store, wait_until
from tests.hosts.certificates import Certificates

# Debian's own start script leaves out netty-codec, without which there is no TLS.
JARS = (
    *("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-simple", "commons-cli", "commons-io", "snappy-java"),
    *("netty-buffer", "netty-codec", "netty-common", "netty-handler", "netty-resolver", "netty-transport"),
    *("netty-transport-native-unix-common", "netty-transport-native-epoll", "metrics-core"),
)
SLIM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
DIGEST = "keeper:sésame"


class Zookeeper(Store):
    """One ZooKeeper server. With `certificates` it demands one of its clients; our nodes then belong to DIGEST."""

    scheme = "zk"
    ttl_s = 3.0

    def __init__(self, directory: Path, *, certificates: Certificates | None = None, host: str = "127.0.0.1") -> None:
        """Lay it out in `directory`; nothing runs yet. `host`: where it listens, in the clear."""
        directory.mkdir(parents=True)
        self._certificates = certificates
        self._data = directory / "data"
        self._host = host
        self._port = free_port()
        self.address = f"{host}:{self._port}"
        self.options: Mapping[str, str] = {}
        config = {
            "dataDir": self._data,
            "tickTime": 500,
            "minSessionTimeout": int(self.ttl_s * 1000),
            "maxSessionTimeout": 60_000,  # 20 ticks if it is not said
            "admin.enableServer": "false",
        }
        if certificates is None:
            config |= {"clientPort": self._port, "clientPortAddress": host}
        else:
            client, server = certificates.client, certificates.server
            (directory / "server.pem").write_bytes(server.key.read_bytes() + server.cert.read_bytes())
            config |= {
                "secureClientPort": self._port,
                "secureClientPortAddress": "127.0.0.1",
                "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
                "ssl.keyStore.location": directory / "server.pem",
                "ssl.trustStore.location": server.ca,
                "ssl.clientAuth": "need",
            }
            self.options = {
                "zk.digest": DIGEST,
                "kv.cacertfile": str(client.ca),
                "kv.certfile": str(client.cert),
                "kv.keyfile": str(client.key),
            }
        (directory / "zoo.cfg").write_text("".join(f"{key}={value}\n" for key, value in config.items()))
        path = ":".join(f"/usr/share/java/{jar}.jar" for jar in JARS)
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        self._process = ServerProcess(("java", "-cp", path, *SLIM, main, directory / "zoo.cfg"), directory / "log")

    def start(self) -> None:
        self._process.start()
        wait_until(self.does_answer, "zookeeper", self._process)

    def does_answer(self) -> bool:
        """Say whether it serves, as far as somebody without a certificate is told."""
        # It listens before it serves, and a client that connects then waits in vain.
        with socket.socket() as probe:
            probe.settimeout(5)
            if probe.connect_ex((self._host, self._port)) != 0:
                return False
            if self._certificates:
                return True
            try:
                probe.sendall(b"srvr")
                return b"Mode: standalone" in probe.recv(4096, socket.MSG_WAITALL)
            except OSError:
                return False

    def write(self, values: Mapping[str, str]) -> None:
        with self.client() as client:
            for parent in {key.rpartition("/")[0] for key in values}:
                client.ensure_path(f"/{parent}")
            made = {key: client.create_async(f"/{key}", value.encode()) for key, value in values.items()}
            for key, result in made.items():
                try:
                    result.get(timeout=30)
                except NodeExistsError:
                    client.set(f"/{key}", values[key].encode())

    def read(self, key: str) -> str | None:
        with self.client() as client:
            try:
                value: bytes = client.get(f"/{key}")[0]
            except NoNodeError:
                return None
            return value.decode()

    def remove(self, key: str) -> None:
        with self.client() as client:
            client.delete(f"/{key}", recursive=True)

    def children(self, key: str) -> list[str]:
        """Return the names of the nodes below `key`."""
        with self.client() as client:
            names: list[str] = client.get_children(f"/{key}")
            return names

    @contextlib.contextmanager
    def client(self) -> Iterator[KazooClient]:
        """Yield a client of somebody who may do everything."""
        tls = {}
        if self._certificates:
            pair = self._certificates.client
            tls = {"use_ssl": True, "ca": str(pair.ca), "certfile": str(pair.cert), "keyfile": str(pair.key)}
        client = KazooClient(
            hosts=self.address,
            timeout=30,
            auth_data=[("digest", DIGEST)] if tls else [],
            default_acl=[make_digest_acl(*DIGEST.split(":"), all=True)] if tls else OPEN_ACL_UNSAFE,
            **tls,
        )
        client.start(timeout=30)
        try:
            yield client
        finally:
            client.stop()
            client.close()
