"""One of Docker's authorization plugins, which does what a test says and remembers what it was told."""

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Word = dict[str, Any] | bytes | None  # an answer, one that is no JSON, or none at all
BODIES = ("RequestBody", "ResponseBody")
ALLOWED: Word = {"Allow": True}


def allow(_what: str, _told: dict[str, Any]) -> Word:
    """Let everything go on."""
    return ALLOWED


class AuthzPlugin:
    """A plugin at an address of this machine. `says` decides, by what was called and what it was told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.says: Callable[[str, dict[str, Any]], Word] = allow
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.activated = 0
        self.accepted: set[str] = set()

    def told(self, what: str, uri: str) -> list[dict[str, Any]]:
        """Return what it was told by calls of `what` about requests whose URI ends so, bodies decoded."""
        found = []
        for called, told in self.calls:
            if called == what and told["RequestUri"].endswith(uri):
                found.append({key: base64.b64decode(value) if key in BODIES else value for key, value in told.items()})
        return found


@contextmanager
def authz_plugin() -> Iterator[AuthzPlugin]:
    """Serve a plugin for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            plugin.accepted.add(self.headers["Accept"])
            if self.path == "/Plugin.Activate":
                plugin.activated += 1
                word: Word = {"Implements": ["authz"]}
            else:
                told = json.loads(body)
                plugin.calls.append((self.path.rpartition(".")[2], told))
                word = plugin.says(self.path.rpartition(".")[2], told)
            if word is None:
                self.close_connection = True
                return
            content = word if isinstance(word, bytes) else json.dumps(word).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        plugin = AuthzPlugin(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield plugin
        finally:
            with contextlib.suppress(OSError):
                server.shutdown()
            thread.join()
