"""TLS on TCP: only clients of the configured authority, and streams that are relayed because they need this process."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from scow.server.http.request import Request
from scow.server.listen import TlsFiles, serve

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make certificates")


def openssl(root: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=root, check=True, capture_output=True)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """ca, server and client of one authority, and a client of another."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for authority in ("ca", "other"):
        openssl(
            tmp_path,
            "req",
            "-x509",
            *key,
            "-subj",
            f"/CN={authority}",
            "-keyout",
            f"{authority}.key",
            "-out",
            f"{authority}.pem",
            "-days",
            "2",
        )
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, authority in (("server", "ca"), ("client", "ca"), ("stranger", "other")):
        openssl(tmp_path, "req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = (
            "-CA",
            f"{authority}.pem",
            "-CAkey",
            f"{authority}.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
        )
        openssl(tmp_path, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return tmp_path


def client(root: Path, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(root / "ca.pem"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Docker's client takes an authority without a key usage
    if name:
        context.load_cert_chain(root / f"{name}.pem", root / f"{name}.key")
    return context


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def files(root: Path) -> TlsFiles:
    return TlsFiles(str(root / "server.pem"), str(root / "server.key"), str(root / "ca.pem"), verify=True)


def test_only_clients_of_our_authority(certificates: Path) -> None:
    """CVE-2018-12608."""

    async def handler(req: Request) -> None:
        req.send(200, b"hello")

    async def ask(port: int, name: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client(certificates, name))
        writer.write(b"GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        try:
            return await reader.read()
        finally:
            writer.close()

    async def body() -> None:
        port = free_port()
        listeners = await serve(handler, [f"tcp://127.0.0.1:{port}"], tls=files(certificates))
        assert b"hello" in await ask(port, "client")
        for name in ("", "stranger"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                assert not await ask(port, name)
                raise ConnectionError("closed without an answer")
        await listeners.close(0.1)

    asyncio.run(body())


def test_a_stream_over_tls_is_relayed_both_ways(certificates: Path) -> None:
    async def handler(req: Request) -> None:
        connection, early = await req.hijack(b"HTTP/1.1 101 UPGRADED\r\n\r\n")

        def echo() -> None:
            with connection:
                assert early == b""
                while data := connection.recv(4096):
                    connection.sendall(data.upper())
                connection.sendall(b"!")

        await asyncio.to_thread(echo)

    async def body() -> None:
        port = free_port()
        listeners = await serve(handler, [f"tcp://127.0.0.1:{port}"], tls=files(certificates))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client(certificates, "client"))
        writer.write(b"POST /attach HTTP/1.1\r\nHost: d\r\n\r\nearly ")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 101 UPGRADED\r\n\r\n"
        assert await reader.readexactly(6) == b"EARLY "
        writer.write(b"x" * 300_000)
        assert await reader.readexactly(300_000) == b"X" * 300_000
        writer.close()
        await listeners.close(0.1)

    asyncio.run(asyncio.wait_for(body(), 20))
