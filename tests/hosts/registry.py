"""A registry on the bridge with one image under every name, to pull from and push to, with credentials if wanted."""

import base64
import hashlib
import http.server
import io
import itertools
import json
import tarfile
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.hosts.images import busybox_archive

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(slots=True)
class Registry:
    """Serves what was pushed, and busybox under every other name and tag but `missing`."""

    address: str
    credentials: str = ""  # "user:password"; empty: anybody may pull
    unknown_to: set[str] = field(default_factory=set)  # addresses for which there is nothing
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifest: bytes = b""
    pushed: dict[str, bytes] = field(default_factory=dict)  # manifests by "name:tag"

    _parts: dict[str, bytearray] = field(default_factory=dict)  # of blobs, by the path of their upload
    _numbers: Iterator[int] = field(default_factory=itertools.count)

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

    def take(self, method: str, target: str, content: bytes) -> tuple[int, dict[str, str]]:
        """Take in a part of a push; return status and headers."""
        path, _, query = target.partition("?")
        name, _, rest = path.removeprefix("/v2/").partition("/manifests/")
        if method == "PUT" and rest:
            self.pushed[f"{name}:{rest}"] = content
            return 201, {"Docker-Content-Digest": digest_of(content)}
        if method == "POST":
            return 202, {"Location": f"{path}session-{next(self._numbers)}", "Range": "0-0"}
        part = self._parts.setdefault(path, bytearray())
        part += content
        if method == "PUT":
            digest = urllib.parse.parse_qs(query)["digest"][0]
            self.blobs[digest] = bytes(self._parts.pop(path))
            return 201, {"Docker-Content-Digest": digest}
        return 202, {"Location": path, "Range": f"0-{len(part) - 1}"}

    def _pushed(self, path: str) -> bytes:
        """Return the manifest that was pushed under the name, or with the digest, in `path`; else that of busybox."""
        name, _, reference = path.removeprefix("/v2/").partition("/manifests/")
        found = self.pushed.get(f"{name}:{reference}")
        return found or next((each for each in self.pushed.values() if digest_of(each) == reference), self.manifest)

    def image_id(self, name: str) -> str:
        """Return the ID of the image that was pushed as `name`."""
        return str(json.loads(self.pushed[name])["config"]["digest"])

    def answer(self, path: str, authorization: str, client: str = "") -> tuple[int, bytes, str]:
        """Return status, body and media type."""
        expected = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
        if self.credentials and authorization != expected:
            return 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', "application/json"
        if path.endswith("/v2/"):
            return 200, b"{}", "application/json"
        if "/manifests/" in path and not path.startswith("/v2/missing/") and client not in self.unknown_to:
            manifest = self._pushed(path)
            return 200, manifest, json.loads(manifest)["mediaType"]
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
            authorization = self.headers.get("Authorization", "")
            status, body, media_type = registry.answer(self.path, authorization, self.client_address[0])
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

        def do_POST(self) -> None:
            status, headers = registry.take(self.command, self.path, self.body())
            self.send_response(status)
            for name, value in {"Docker-Distribution-Api-Version": "registry/2.0", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PATCH = do_PUT = do_POST  # noqa: N815

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

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
