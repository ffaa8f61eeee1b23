"""A real registry (Debian's docker-registry) on loopback, and images made by hand to put into it."""

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import scratch

SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
USER, PASSWORD = "simya", "hunter2hunter2"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def busybox_tar() -> bytes:
    """A root file system of Debian's static busybox with a link for each applet."""
    binary = Path("/bin/busybox").read_bytes()
    applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n",
        "etc/group": "root:x:0:\ndaemon:x:1:\nusers:x:100:\nnogroup:x:65534:\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("home", 0o755)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(binary), 0o755
        tar.addfile(entry, io.BytesIO(binary))
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class Image:
    """An image as the registry will hold it. `layers` are uncompressed tars; `compress` is gzip, zstd or none."""

    layers: list[bytes]
    config: dict[str, Any] = field(default_factory=dict)
    compress: str = "gzip"
    oci: bool = False

    def parts(self) -> tuple[bytes, bytes, list[bytes]]:
        """manifest, config and compressed layers, as bytes."""
        blobs = [_compress(layer, self.compress) for layer in self.layers]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": "2024-01-01T00:00:00Z",
                "config": {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
                | self.config,
                "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in self.layers]},
                "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"} for _ in self.layers],
            }
        ).encode()
        kind = "application/vnd.oci.image." if self.oci else "application/vnd.docker."
        suffix = {"gzip": "gzip", "zstd": "zstd", "none": ""}[self.compress]
        if self.oci:
            media = "application/vnd.oci.image.layer.v1.tar" + (f"+{suffix}" if suffix else "")
        else:
            media = "application/vnd.docker.image.rootfs.diff.tar" + (f".{suffix}" if suffix else "")
        config_media = kind + ("config.v1+json" if self.oci else "container.image.v1+json")
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI if self.oci else SCHEMA2,
                "config": {"mediaType": config_media, "size": len(config), "digest": digest(config)},
                "layers": [{"mediaType": media, "size": len(b), "digest": digest(b)} for b in blobs],
            }
        ).encode()
        return manifest, config, blobs


def _compress(data: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if how == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=1).compress(data)
    return data


def busybox(**kwargs: Any) -> Image:
    return Image([busybox_tar()], **kwargs)


class Registry:
    """`address` is HOST:PORT; with `auth`, it asks for USER and PASSWORD (Basic)."""

    def __init__(self, auth: bool = False) -> None:
        self.auth = auth
        self.folder = scratch.make("registry")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }
        if auth:
            subprocess.run(["htpasswd", "-Bbc", str(self.folder / "htpasswd"), USER, PASSWORD], check=True, stderr=-3)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.folder / "htpasswd")}}
        (self.folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        with open(self.folder / "log", "wb") as log:
            command = ["docker-registry", "serve", str(self.folder / "config.yml")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.request("GET", "/v2/")
                return
            time.sleep(0.05)
        self.close()
        raise AssertionError(f"docker-registry does not answer on {self.address}")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        host, _, port = self.address.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        sent = dict(headers or {})
        if self.auth:
            sent["Authorization"] = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def push_blob(self, repository: str, data: bytes) -> str:
        status, headers, body = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert status == 202, body
        target = headers["location"].partition(self.address)[2] or headers["location"]
        joint = "&" if "?" in target else "?"
        status, _, body = self.request(
            "PUT", f"{target}{joint}digest={digest(data)}", data, {"Content-Type": "application/octet-stream"}
        )
        assert status == 201, body
        return digest(data)

    def push_manifest(self, repository: str, tag: str, manifest: bytes, media_type: str) -> str:
        headers = {"Content-Type": media_type}
        status, _, body = self.request("PUT", f"/v2/{repository}/manifests/{tag}", manifest, headers)
        assert status == 201, body
        return digest(manifest)

    def push(self, repository: str, image: Image, tag: str = "latest") -> str:
        """Put an image there; returns ADDRESS/REPOSITORY:TAG."""
        manifest, config, blobs = image.parts()
        for blob in (config, *blobs):
            self.push_blob(repository, blob)
        self.push_manifest(repository, tag, manifest, OCI if image.oci else SCHEMA2)
        return f"{self.address}/{repository}:{tag}"

    def blob_path(self, blob: str) -> Path:
        """The file that holds a blob, for tests that damage it."""
        hexes = blob.removeprefix("sha256:")
        return self.folder / "data/docker/registry/v2/blobs/sha256" / hexes[:2] / hexes / "data"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        scratch.remove(self.folder)


def available() -> bool:
    return shutil.which("docker-registry") is not None and os.path.exists("/bin/busybox")
