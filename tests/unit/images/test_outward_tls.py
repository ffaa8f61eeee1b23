"""Authorities made by hand: Docker takes one without a key usage, and so does scow on every Python."""

import contextlib
import ssl
import subprocess
from pathlib import Path

import pytest

from scow.images.registry.certificates import context_for
from scow.images.registry.endpoint import Endpoint, RegistrySettings

NAME = "registry.test:5000"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """certs.d with the authority, and the server's certificate and key beside it."""

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / NAME).mkdir()
    (tmp_path / "names").write_text("subjectAltName=DNS:registry.test\n")
    (tmp_path / "authority").write_text("[req]\ndistinguished_name=n\n[n]\n[v]\nbasicConstraints=critical,CA:TRUE\n")
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout")
    openssl("req", "-x509", "-config", "authority", "-extensions", "v", *key, "ca.key", "-subj", "/CN=by hand",
            "-days", "2", "-out", f"{NAME}/ca.crt")  # fmt: skip
    openssl("req", *key, "server.key", "-subj", "/CN=registry.test", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", f"{NAME}/ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", "server.pem")  # fmt: skip
    return tmp_path


def handshake(ours: ssl.SSLContext, theirs: ssl.SSLContext, name: str) -> None:
    """Without a network: what one side writes the other reads."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(down, up, server_hostname=name)
    server = theirs.wrap_bio(up, down, server_side=True)
    for side in (client, server) * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert client.version()


def test_an_authority_without_a_key_usage(certificates: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    ours = context_for(Endpoint("https", NAME), RegistrySettings(certificates=(str(certificates),)))
    handshake(ours, server, "registry.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ours, server, "another.test")
    stranger = context_for(Endpoint("https", NAME), RegistrySettings(certificates=()))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(stranger, server, "registry.test")
