"""The faults of security.md section 6.5, for pulls and pushes alike: how a registry, a token server or what lies between
can misbehave. Each is a Fault for FaultRegistry.once and .ever, or content that is wrong, or a registry behind bad TLS.
"""

import gzip
import json
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.harness.faultreg import INDEX, Fault, FaultRegistry, Handler, cut, instead, reset, status
from tests.harness.registry import OCI, SCHEMA2, Image, digest

__all__ = ["cut", "instead", "reset", "status"]  # with those below: all faults in one place

NAME = "registry.test"
"""The name in the certificates; `names` makes it loopback."""
UNAVAILABLE = b'{"errors":[{"code":"UNAVAILABLE","message":"try later"}]}'


# ---------------------------------------------------------------- answers of any kind


def bearer(realm: str, **more: str) -> Fault:
    """401 with a Bearer challenge, whatever was sent: for ever it is a loop."""
    value = ",".join(f'{key}="{text}"' for key, text in {"realm": realm, "service": "s", **more}.items())
    return lambda handler: handler.refuse(
        401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": f"Bearer {value}"}
    )


def too_many(retry_after: str = "") -> Fault:
    """429 as Docker Hub sends it."""
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}
    if retry_after:
        headers["Retry-After"] = retry_after
    return lambda handler: handler.refuse(429, "TOOMANYREQUESTS", "You have reached your pull rate limit", headers)


def alternating(code: int) -> Fault:
    """An error, the proper answer, an error, …"""
    calls: list[int] = []

    def fault(handler: Handler) -> None:
        calls.append(1)
        if len(calls) % 2:
            handler.answer(code, UNAVAILABLE)
        else:
            handler.serve()

    return fault


def large_headers(handler: Handler) -> None:
    """A mebibyte of header."""
    handler.answer(200, b"{}", {"X-Large": "x" * (1 << 20)})


def endless(handler: Handler) -> None:
    """Ten gibibytes of a JSON string, as far as anybody takes them."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(10 << 30))
    handler.end_headers()
    handler.close_connection = True
    try:
        handler.wfile.write(b'{"token":"')
        while not handler.owner.stopping.is_set():
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass


def encoded(handler: Handler) -> None:
    """A small gzip bomb as content encoding, which nobody asked for."""
    handler.answer(200, gzip.compress(bytes(16 << 20)), {"Content-Encoding": "gzip", "Content-Type": SCHEMA2})


def redirect(url: str, code: int = 307) -> Fault:
    """To another place; `{path}` in the URL is the request's own."""
    return lambda handler: handler.answer(code, b"", {"Location": url.replace("{path}", handler.path)})


def drip(handler: Handler) -> None:
    """A byte at a time, with long breaks."""
    body = handler.blob() if "/blobs/" in handler.path and handler.command == "GET" else b"{}" * 1000
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.close_connection = True
    try:
        for position in range(len(body)):
            handler.wfile.write(body[position : position + 1])
            handler.wfile.flush()
            if handler.owner.stopping.wait(0.05):
                return
    except OSError:
        pass


def stall(handler: Handler) -> None:
    """A head that promises a body, and then nothing for ever."""
    blob = "/blobs/" in handler.path and handler.command == "GET"
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(handler.blob())) if blob else "1000000")
    handler.end_headers()
    handler.wfile.flush()
    handler.owner.stopping.wait(20)
    handler.close_connection = True


def mute(handler: Handler) -> None:
    """Nothing at all for ever."""
    handler.owner.stopping.wait(20)
    handler.close_connection = True


# ---------------------------------------------------------------- blobs


def longer(extra: int = 1000) -> Fault:
    """More bytes than the descriptor says, without a Content-Length that would tell."""

    def fault(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(handler.blob() + bytes(extra))
        handler.close_connection = True

    return fault


def wrong_bytes(handler: Handler) -> None:
    """As many bytes as there should be, the last one another."""
    data = handler.blob()
    data = data[:-1] + bytes([data[-1] ^ 1])
    start, end = handler.span(len(data))
    ranged = "Range" in handler.headers
    headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"} if ranged else {}
    handler.answer(206 if ranged else 200, data[start:end], headers)


def wrong_size(handler: Handler) -> None:
    """Fewer bytes than there should be, told honestly."""
    handler.answer(200, handler.blob()[:-100])


def no_ranges(handler: Handler) -> None:
    """All of a blob, whatever part was asked for."""
    handler.answer(200, handler.blob())


def wrong_range(handler: Handler) -> None:
    """Another part than the one that was asked for."""
    data = handler.blob()
    if "Range" in handler.headers:
        handler.answer(206, data[5:], {"Content-Range": f"bytes 5-{len(data) - 1}/{len(data)}"})
    else:
        handler.serve()


def lying_range(handler: Handler) -> None:
    """Another part than the one that was asked for, under the name of that."""
    data = handler.blob()
    if "Range" in handler.headers:
        start, end = handler.span(len(data))
        moved = (data + data)[start + 1 : end + 1]
        handler.answer(206, moved, {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})
    else:
        handler.serve()


# ---------------------------------------------------------------- uploads


def session_lost(handler: Handler) -> None:
    """The upload is forgotten in the middle."""
    handler.owner.uploads.clear()
    handler.refuse(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")


def digest_invalid(handler: Handler) -> None:
    """What was uploaded is not what was announced, says the registry."""
    handler.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")


def mount_denied(handler: Handler) -> None:
    """The other repository is closed to us."""
    handler.refuse(403, "DENIED", "requested access to the resource is denied")


def swallow(share: float) -> Fault:
    """Take a share of what is uploaded, keep it, and break off."""

    def fault(handler: Handler) -> None:
        length = int(handler.headers.get("Content-Length", "0"))
        part = handler.rfile.read(int(length * share))
        session = handler.path.partition("?")[0].rpartition("/")[2]
        handler.owner.uploads[session] += part
        handler.owner.received += len(part)
        handler.hang_up()

    return fault


# ---------------------------------------------------------------- content


def ambiguous(registry: FaultRegistry, repository: str) -> None:
    """`latest` becomes a document that is manifest and index at once."""
    document = json.loads(registry.manifests[repository, "latest"][1])
    document["manifests"] = []
    registry.put_manifest(repository, "latest", json.dumps(document).encode(), SCHEMA2)


def index_of(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}).encode()


def entry(data: bytes, media_type: str, architecture: str = "amd64") -> dict[str, Any]:
    platform = {"os": "linux", "architecture": architecture}
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), "platform": platform}


def other_platform(registry: FaultRegistry, repository: str) -> None:
    """`latest` becomes an index without this machine's platform."""
    data = registry.manifests[repository, "latest"][1]
    registry.put_manifest(repository, "latest", index_of(entry(data, SCHEMA2, "s390x")), INDEX)


def nested(registry: FaultRegistry, repository: str, depth: int = 100) -> None:
    """`latest` becomes an index of an index of an index …"""
    data, media_type = registry.manifests[repository, "latest"][1], SCHEMA2
    for _ in range(depth):
        data, media_type = index_of(entry(data, media_type)), INDEX
        registry.put_manifest(repository, "latest", data, INDEX)


def layer_instead(registry: FaultRegistry, repository: str, plain: bytes, packed: bytes) -> None:
    """An image whose layer is `packed`, announced honestly, with the diff id of `plain`."""
    manifest, config, _ = Image([plain], oci=True).parts()
    document = json.loads(manifest)
    document["layers"][0].update(digest=digest(packed), size=len(packed))
    registry.put_manifest(repository, "latest", json.dumps(document).encode(), OCI)
    registry.blobs |= {digest(config): config, digest(packed): packed}
    registry.kinds |= {digest(config): "config", digest(packed): "layer"}


# ---------------------------------------------------------------- names and TLS


def unused_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def names(monkeypatch: Any) -> None:
    """NAME is this machine, no name that ends in .invalid exists, and no other name is looked up."""
    real = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == NAME:
            host = "127.0.0.1"
        elif isinstance(host, str) and not host.replace(".", "").isdigit() and host != "localhost":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "ca.crt"
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self._openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test", "-days", "9")
        self._key = key

    def issue(self, name: str = NAME, days: int = 9, usage: str = "serverAuth") -> tuple[Path, Path]:
        """(certificate, key) for a name."""
        stem = f"{name}-{days}-{usage}"
        (self.folder / "extensions").write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage={usage}\n")
        self._openssl("req", *self._key, "-keyout", f"{stem}.key", "-out", "request", "-subj", f"/CN={name}")
        self._openssl(
            *("x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", str(days), "-extfile", "extensions", "-out", f"{stem}.crt"),
        )
        return self.folder / f"{stem}.crt", self.folder / f"{stem}.key"

    def server(self, name: str = NAME, days: int = 9, client: bool = False) -> ssl.SSLContext:
        """A server's settings; `client` asks for a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, days))
        if client:
            context.load_verify_locations(self.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


def hang_up_after_handshake(context: ssl.SSLContext) -> FaultRegistry:
    """A server that ends every connection right after TLS stands."""
    registry = FaultRegistry(context, NAME)
    for kind in ("ping", "manifest", "layer", "config", "token"):
        registry.ever(kind, reset)
    return registry


def waited(condition: Any, seconds: float = 5.0) -> bool:
    """Whether a condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.002)
    return False
