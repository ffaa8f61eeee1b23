"""A registry that misbehaves on demand, in threads of the test's own process."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.harness.registry import OCI, SCHEMA2, Image, digest

Fault = Callable[["Handler"], None]
INDEX = "application/vnd.oci.image.index.v1+json"


class FaultRegistry:
    """`address` is HOST:PORT. Serves what `add` was given; `faults[kind]` (ping, manifest, config, layer, token) is a
    list of faults for the next requests of that kind, the last one for ever when `always` names the kind.
    `requests` keeps (method, path, headers).
    """

    def __init__(self) -> None:
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.kinds: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.always: set[str] = set()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sent = 0
        registry = self

        class Bound(Handler):
            owner = registry

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, repository: str, image: Image, tag: str = "latest") -> dict[str, Any]:
        """Serve an image; returns its manifest."""
        manifest, config, layers = image.parts()
        self.put_manifest(repository, tag, manifest, OCI if image.oci else SCHEMA2)
        self.blobs[digest(config)] = config
        self.kinds[digest(config)] = "config"
        for layer in layers:
            self.blobs[digest(layer)] = layer
            self.kinds[digest(layer)] = "layer"
        parsed: dict[str, Any] = json.loads(manifest)
        return parsed

    def put_manifest(self, repository: str, tag: str, data: bytes, content_type: str) -> None:
        self.manifests[repository, tag] = self.manifests[repository, digest(data)] = (content_type, data)

    def count(self, kind: str) -> int:
        """How many requests of a kind there were."""
        return sum(1 for _, path, _ in self.requests if self.kind_of(path) == kind)

    def kind_of(self, path: str) -> str:
        if path.startswith("/token"):
            return "token"
        if "/manifests/" in path:
            return "manifest"
        if "/blobs/" in path:
            return self.kinds.get(path.rpartition("/")[2], "layer")
        return "ping"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    owner: FaultRegistry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        owner = self.owner
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        owner.requests.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        kind = owner.kind_of(self.path)
        faults = owner.faults.get(kind, [])
        if faults:
            fault = faults[0] if kind in owner.always and len(faults) == 1 else faults.pop(0)
            fault(self)
            return
        self.serve()

    do_POST = do_GET

    def serve(self) -> None:
        """The proper answer."""
        parts = self.path.split("/")
        if "/manifests/" in self.path:
            found = self.owner.manifests.get(("/".join(parts[2:-2]), parts[-1]))
            if found is None:
                self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
            else:
                self.answer(200, found[1], {"Content-Type": found[0]})
        elif "/blobs/" in self.path:
            data = self.owner.blobs.get(parts[-1])
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            if data is None:
                self.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
            elif start:
                headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
                self.answer(206, data[start:], headers)
            else:
                self.answer(200, data)
        else:
            self.answer(200, b"{}")

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        self.owner.sent += len(body)
        try:
            self.wfile.write(body)
        except OSError:
            pass
        if length is not None:
            self.close_connection = True

    def blob(self) -> bytes:
        return self.owner.blobs[self.path.rpartition("/")[2]]

    def log_message(self, format: str, *args: Any) -> None:
        pass


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    return lambda handler: handler.answer(code, body, {key.replace("_", "-"): value for key, value in headers.items()})


def cut(share: float) -> Fault:
    """Send only a share of a blob, then close; honours Range."""

    def fault(handler: Handler) -> None:
        data = handler.blob()
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        rest = data[start:]
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        handler.answer(206 if start else 200, rest[: int(len(rest) * share)], headers, len(rest))

    return fault


def instead(data: bytes) -> Fault:
    """Other bytes for a blob or manifest."""
    return lambda handler: handler.answer(200, data, {"Content-Type": SCHEMA2})


def reset(handler: Handler) -> None:
    """Close without an answer."""
    handler.close_connection = True
    handler.connection.close()
