"""A registry that misbehaves on demand: registry, token server and redirect target in threads of the test's process.

It listens on loopback, on a port of its own. What it holds is filled by `add`, by `put_manifest`, or by pushing to it.
Faults are functions that answer one request wrongly; `once` and `always` arm them for a kind of request:

    ping  token  tags                       GET /v2/, /token, …/tags/list
    manifest  config  layer                 GET and HEAD of what a pull wants (and a push asks for)
    mount  start  patch  status  commit     the steps of an upload: POST with and without `mount`, PATCH, GET, PUT
    manifest-put                            PUT of a manifest

The faults of security.md's matrix are in tests/harness/faults.py.
"""

import hashlib
import json
import re
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.harness.registry import OCI, SCHEMA2, Image, digest

Fault = Callable[["Handler"], None]
INDEX = "application/vnd.oci.image.index.v1+json"
_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/([0-9a-f]*)")


class FaultRegistry:
    """`address` is HOST:PORT. `requests` keeps (method, path, headers) of every request; `sent` and `received` count the
    bytes of bodies. With `tls` it speaks https, under the name `host`.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.kinds: dict[str, str] = {}
        self.uploads: dict[str, bytearray] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.always: set[str] = set()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sent = self.received = self.connections = 0
        self.stopping = threading.Event()
        registry = self

        class Bound(Handler):
            owner = registry

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def finish_request(self, request: Any, client_address: Any) -> None:
                registry.connections += 1
                if tls is not None:  # here, in the connection's own thread
                    request.settimeout(5)
                    request = tls.wrap_socket(request, server_side=True)
                super().finish_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients that go away are what this is about

        self._server = Server(("127.0.0.1", 0), Bound)
        self.port = int(self._server.server_address[1])
        self.address = f"{host}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    # ------------------------------------------------------------ content

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

    def corrupt(self) -> list[str]:
        """Digests under which other bytes are stored: none, whatever a client did."""
        wrong = [name for name, data in self.blobs.items() if digest(data) != name]
        return wrong + [tag for (_, tag), (_, data) in self.manifests.items() if ":" in tag and digest(data) != tag]

    # ------------------------------------------------------------ faults

    def once(self, kind: str, *faults: Fault) -> None:
        """The next requests of a kind are answered by these, one each."""
        self.faults.setdefault(kind, []).extend(faults)

    def ever(self, kind: str, fault: Fault) -> None:
        """Every request of a kind is answered by this."""
        self.faults[kind] = [fault]
        self.always.add(kind)

    def heal(self) -> None:
        """No more faults; counters begin anew."""
        self.faults.clear()
        self.always.clear()
        self.requests.clear()
        self.sent = self.received = 0

    def count(self, kind: str) -> int:
        """How many requests of a kind there were."""
        return sum(1 for method, path, _ in self.requests if self.kind_of(path, method) == kind)

    def kind_of(self, path: str, method: str = "GET") -> str:
        path, _, query = path.partition("?")
        if path.startswith("/token"):
            return "token"
        if path.endswith("/tags/list"):
            return "tags"
        if _UPLOAD.fullmatch(path):
            if method == "POST":
                return "mount" if "mount=" in query else "start"
            return {"PATCH": "patch", "PUT": "commit"}.get(method, "status")
        if "/manifests/" in path:
            return "manifest-put" if method == "PUT" else "manifest"
        if "/blobs/" in path:
            return self.kinds.get(path.rpartition("/")[2], "layer")
        return "ping"


class Handler(BaseHTTPRequestHandler):
    """One connection. A fault may use `serve` (the proper answer), `answer`, `body` (what was sent), `blob`."""

    owner: FaultRegistry
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def handle_any(self) -> None:
        owner = self.owner
        owner.requests.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        self._body: bytes | None = None
        kind = owner.kind_of(self.path, self.command)
        faults = owner.faults.get(kind, [])
        if faults:
            fault = faults[0] if kind in owner.always and len(faults) == 1 else faults.pop(0)
            fault(self)
        else:
            self.serve()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    @property
    def body(self) -> bytes:
        """The request's body, read when it is first asked for."""
        if self._body is None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                self._body = b"".join(parts)
            else:
                self._body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.owner.received += len(self._body)
        return self._body

    def serve(self) -> None:
        """The proper answer."""
        path = urlsplit(self.path).path
        parts = path.split("/")
        self.body  # noqa: B018 - read before the answer
        if match := _UPLOAD.fullmatch(path):
            self._upload(match[1], match[2])
        elif path.endswith("/tags/list"):
            name = "/".join(parts[2:-2])
            tags = [tag for repository, tag in self.owner.manifests if repository == name and ":" not in tag]
            if tags:
                self.answer(200, json.dumps({"name": name, "tags": tags}).encode())
            else:
                self.refuse(404, "NAME_UNKNOWN", "repository name not known to registry")
        elif "/manifests/" in path:
            self._manifest("/".join(parts[2:-2]), parts[-1])
        elif "/blobs/" in path:
            self._blob(parts[-1])
        else:
            self.answer(200, b"{}")

    def _manifest(self, repository: str, name: str) -> None:
        if self.command == "PUT":
            document = json.loads(self.body)
            wanted = [document.get("config"), *document.get("layers", ())]
            missing = [item["digest"] for item in wanted if item and item["digest"] not in self.owner.blobs]
            if missing:
                self.refuse(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {missing[0]}")
                return
            self.owner.put_manifest(repository, name, self.body, self.headers.get("Content-Type", ""))
            self.answer(201, b"", {"Docker-Content-Digest": digest(self.body), "Location": self.path})
            return
        found = self.owner.manifests.get((repository, name))
        if found is None:
            self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            self.answer(200, found[1], {"Content-Type": found[0], "Docker-Content-Digest": digest(found[1])})

    def _blob(self, name: str) -> None:
        data = self.owner.blobs.get(name)
        if data is None:
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown")
            return
        start, end = self.span(len(data))
        if "Range" in self.headers:
            self.answer(206, data[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})
        else:
            self.answer(200, data, {"Docker-Content-Digest": name})

    def span(self, size: int) -> tuple[int, int]:
        """(start, end) of the bytes that are asked for."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        assert match, self.headers["Range"]
        return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size

    def _upload(self, repository: str, session: str) -> None:
        owner, query = self.owner, parse_qs(urlsplit(self.path).query)
        if self.command == "POST":
            mounted = query.get("mount", [""])[0]
            if mounted in owner.blobs:
                self.answer(
                    201, b"", {"Location": f"/v2/{repository}/blobs/{mounted}", "Docker-Content-Digest": mounted}
                )
                return
            session = secrets.token_hex(8)
            owner.uploads[session] = bytearray()
            self.progress(202, repository, session)
            return
        data = owner.uploads.get(session)
        if data is None:
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        elif self.command == "GET":
            self.progress(204, repository, session)
        elif self.command == "DELETE":
            del owner.uploads[session]
            self.answer(204, b"")
        elif self.command == "PATCH":
            start = self.headers.get("Content-Range", "").partition("-")[0]
            if start and int(start) != len(data):
                self.progress(416, repository, session)
                return
            data += self.body
            self.progress(202, repository, session)
        else:
            self._commit(repository, session, bytes(data) + self.body, query.get("digest", [""])[0])

    def progress(self, status: int, repository: str, session: str) -> None:
        """An answer about an upload: where it goes on."""
        have = len(self.owner.uploads[session])
        headers = {"Location": f"/v2/{repository}/blobs/uploads/{session}", "Range": f"0-{max(0, have - 1)}"}
        self.answer(status, b"", {**headers, "Docker-Upload-UUID": session})

    def _commit(self, repository: str, session: str, data: bytes, name: str) -> None:
        del self.owner.uploads[session]
        algorithm = name.partition(":")[0]
        if algorithm not in ("sha256", "sha512") or f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}" != name:
            self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        self.owner.blobs[name] = data
        self.answer(201, b"", {"Location": f"/v2/{repository}/blobs/{name}", "Docker-Content-Digest": name})

    def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.answer(status, body, {"Content-Type": "application/json", **(headers or {})})

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        """With `length` that much is announced, whatever is sent; then the connection ends."""
        self.body  # noqa: B018 - else it would be taken for the next request
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.owner.sent += len(body)
            try:
                self.wfile.write(body)
                self.wfile.flush()
            except OSError:
                pass
        if length is not None:
            self.close_connection = True

    def blob(self) -> bytes:
        return self.owner.blobs[urlsplit(self.path).path.rpartition("/")[2]]

    def hang_up(self) -> None:
        """End the connection with what was written so far."""
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        pass


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    return lambda handler: handler.answer(code, body, {key.replace("_", "-"): value for key, value in headers.items()})


def cut(share: float) -> Fault:
    """Send only a share of a blob, then close; honours Range."""

    def fault(handler: Handler) -> None:
        data = handler.blob()
        start, end = handler.span(len(data))
        rest = data[start:end]
        ranged = "Range" in handler.headers
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"} if ranged else {}
        handler.answer(206 if ranged else 200, rest[: int(len(rest) * share)], headers, len(rest))

    return fault


def instead(data: bytes) -> Fault:
    """Other bytes for a blob or manifest."""
    return lambda handler: handler.answer(200, data, {"Content-Type": SCHEMA2})


def reset(handler: Handler) -> None:
    """Close without an answer."""
    handler.close_connection = True
    handler.connection.close()
