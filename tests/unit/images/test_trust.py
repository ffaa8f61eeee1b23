"""Where requests and credentials may go."""

import re
from pathlib import Path

import pytest

import scow
from scow.errors import Forbidden
from scow.images.registry import realm
from scow.images.registry.endpoint import Endpoint, RegistrySettings, endpoints
from scow.images.registry.faults import RegistryFailure
from scow.images.registry.realm import registrable
from scow.images.registry.transport import check_redirect
from scow.model.transfer import Credentials

HUB = Endpoint("https", "registry-1.docker.io")
PRIVATE = Endpoint("https", "registry.example.com:5000")
LOCAL = Endpoint("http", "127.0.0.1:5000")


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://auth.docker.io/token", HUB),
        ("https://registry.example.com/token", PRIVATE),
        ("https://auth.example.com/token", PRIVATE),
        ("http://127.0.0.1:5001/token", LOCAL),
        ("http://127.0.0.1/token", LOCAL),
    ],
)
def test_trusted_realms(url: str, endpoint: Endpoint) -> None:
    assert realm.check(url, endpoint, with_credentials=True) == url


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://evil.example.org/token", PRIVATE),
        ("http://registry.example.com/token", PRIVATE),
        ("http://auth.docker.io/token", HUB),
        ("https://169.254.169.254/token", HUB),
        ("https://127.0.0.1/token", HUB),
        ("https://10.0.0.1/token", HUB),
        ("https://localhost/token", HUB),
        ("https://auth.docker.io:22/token", HUB),
        ("https://user:pass@auth.docker.io/token", HUB),
        ("file:///etc/passwd", HUB),
        ("https://[::1]/token", HUB),
        ("//auth.docker.io/token", HUB),
        ("", HUB),
        ("https://[broken", HUB),
        ("http://127.0.0.2:5000/token", LOCAL),
        ("https://attacker.co.uk/token", Endpoint("https", "registry.victim.co.uk")),
    ],
)
def test_cve_2026_33540_credentials_do_not_follow_the_realm(url: str, endpoint: Endpoint) -> None:
    """Also CVE-2026-12566."""
    with pytest.raises(Forbidden):
        realm.check(url, endpoint, with_credentials=True)


def test_cve_2026_33540_no_request_to_inner_addresses_even_without_credentials() -> None:
    for url in ("https://169.254.169.254/latest", "https://192.168.1.1/x", "https://localhost/x", "http://x.org/y"):
        with pytest.raises(Forbidden):
            realm.check(url, HUB, with_credentials=False)
    assert realm.check("https://tokens.example.org/t", PRIVATE, with_credentials=False)


def test_registrable_is_strict() -> None:
    assert registrable("a.b.example.com") == "example.com"
    assert registrable("a.example.co.uk") == "example.co.uk"
    assert registrable("10.0.0.1") == "10.0.0.1"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("https://r.example.com/v2/", "http://r.example.com/v2/"),
        ("https://r.example.com/v2/", "https://169.254.169.254/"),
        ("https://r.example.com/v2/", "https://10.1.2.3/"),
        ("http://127.0.0.1:5000/v2/", "http://169.254.169.254/"),
        ("https://r.example.com/v2/", "file:///etc/passwd"),
        ("https://r.example.com/v2/", "https://user:pw@cdn.example.com/"),
        ("https://r.example.com/v2/", "https://cdn.example.com:99999/"),
    ],
)
def test_cve_2020_15157_redirects_that_are_refused(source: str, target: str) -> None:
    with pytest.raises(RegistryFailure):
        check_redirect(source, target)


def test_redirects_that_are_followed() -> None:
    check_redirect("https://r.example.com/v2/", "https://cdn.example.net/blob")
    check_redirect("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/blob")


def test_cve_2014_5277_plain_http_only_where_allowed() -> None:
    def schemes(domain: str, *insecure: str) -> list[str]:
        return [endpoint.scheme for endpoint in endpoints(domain, RegistrySettings(insecure))]

    assert schemes("registry.example.com") == ["https"]
    assert schemes("docker.io") == ["https"]
    assert schemes("10.0.0.5:5000") == ["https"]
    assert schemes("127.0.0.1:5000") == schemes("localhost:5000") == schemes("[::1]:5000") == ["http", "https"]
    assert schemes("10.0.0.5:5000", "10.0.0.0/8") == ["https", "http"]
    assert schemes("r.example.com:5000", "r.example.com:5000") == ["https", "http"]
    assert schemes("r.example.com:5001", "r.example.com:5000") == ["https"]
    assert schemes("localhost.example.com") == ["https"]


def test_mirrors_come_first_and_for_docker_hub_only() -> None:
    settings = RegistrySettings(mirrors=("https://mirror.example.com/",))
    assert [endpoint.authority for endpoint in endpoints("docker.io", settings)] == [
        "mirror.example.com",
        "registry-1.docker.io",
    ]
    assert [endpoint.authority for endpoint in endpoints("r.example.com", settings)] == ["r.example.com"]


def test_cve_2019_13509_credentials_do_not_print() -> None:
    secret = Credentials("user", "hunter2", "identity", "token", "r.example.com")
    assert not any(word in f"{secret} {secret!r}" for word in ("hunter2", "identity", "token"))


def test_cve_2025_6032_verification_is_turned_off_in_one_place_only() -> None:
    """For registries that the user names insecure, and in the client for an engine without a CA, as docker's does."""
    root = Path(scow.__file__).parent
    words = re.compile(r"CERT_NONE|check_hostname = False|ssl=False|_create_unverified")
    found = {str(path.relative_to(root)) for path in root.rglob("*.py") if words.search(path.read_text())}
    assert found == {"images/registry/certificates.py", "client/endpoint.py"}
