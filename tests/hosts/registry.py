"""A registry with one image, on the bridge: enough for engines to pull from, with credentials if wanted."""

import base64
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.hosts.images import busybox_archive

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(slots=True)
class Registry:
    """Serves busybox under every name and tag but `missing`."""

    address: str
    credentials: str = ""  # "user:password"; empty: anybody may pull
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifest: bytes = b""

    def __post_init__(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(busybox_archive(labels={"from": "registry"}))) as tar:
            files = {each.name: tar.extractfile(each) for each in tar}
            contents = {name: file.read() for name, file in files.items() if file is not None}
        config = next(text for name, text in contents.items() if name not in ("layer.tar", "manifest.json"))
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._store(config, CONFIG),
                "layers": [self._store(contents["layer.tar"], LAYER)],
            }
        ).encode()

    def _store(self, content: bytes, media_type: str) -> dict[str, object]:
        digest = digest_of(content)
        self.blobs[digest] = content
        return {"mediaType": media_type, "size": len(content), "digest": digest}

    def answer(self, path: str, authorization: str) -> tuple[int, bytes, str]:
        """Return status, body and media type."""
        expected = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
        if self.credentials and authorization != expected:
            return 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', "application/json"
        if path.endswith("/v2/"):
            return 200, b"{}", "application/json"
        if "/manifests/" in path and not path.startswith("/v2/missing/"):
            return 200, self.manifest, MANIFEST
        if (blob := self.blobs.get(path.rpartition("/")[2])) is not None:
            return 200, blob, "application/octet-stream"
        return 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}', "application/json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def serving(ip: str, *, credentials: str = "") -> Iterator[Registry]:
    """Serve a registry on `ip` inside the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body, media_type = registry.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", digest_of(body))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer((ip, 0), Handler) as server:
        registry = Registry(f"{ip}:{server.server_port}", credentials)
        thread = threading.Thread(target=server.serve_forever, name="registry")
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
