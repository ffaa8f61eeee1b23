"""Credentials: config.json as Docker's CLI keeps it, helper programs, and what must never happen to a password."""

import json
import os
import stat
from pathlib import Path

import pytest

from scow.client import credentials
from scow.client.config import read
from scow.client.credentials import Credentials
from scow.errors import InvalidArgument, Unavailable

HELPER = """#!/bin/sh
read line; echo "$1 $line" >> {log}
case "$1" in
get) [ -s {kept} ] && cat {kept} || { echo "credentials not found in native keychain"; exit 1; } ;;
store) printf '%s' "$line" > {kept} ;;
erase) : > {kept} ;;
esac
"""
BROKEN = "#!/bin/sh\ncat > /dev/null; echo boom; exit 3\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def helper(home: Path, name: str, text: str) -> None:
    text = text.replace("{log}", f"{home}/log").replace("{kept}", f"{home}/kept")
    path = home / f"docker-credential-{name}"
    path.write_text(text)
    path.chmod(0o755)


def config(home: Path, **data: object) -> str:
    path = home / "config.json"
    path.write_text(json.dumps(data))
    return str(path)


@pytest.mark.parametrize("data", [{"credsStore": "good"}, {"credHelpers": {"r:5000": "good"}, "credsStore": "broken"}])
def test_a_helper_keeps_the_secret_and_the_file_does_not(home: Path, data: dict[str, object]) -> None:
    helper(home, "good", HELPER)
    path = config(home, **data, unknown={"a": 1})
    assert credentials.store(read(path), "r:5000", Credentials("u", "hunter2")) is False
    text = Path(path).read_text()
    assert (
        "hunter2" not in text
        and json.loads(text)["unknown"] == {"a": 1}
        and json.loads(text)["auths"] == {"r:5000": {}}
    )
    found = credentials.load(read(path), "r:5000")
    assert found is not None and (found.username, found.password) == ("u", "hunter2")
    credentials.erase(read(path), "r:5000")
    assert credentials.load(read(path), "r:5000") is None and json.loads(Path(path).read_text())["auths"] == {}
    lines = (home / "log").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["store", "get", "erase", "get"]
    assert lines[1:] == ["get r:5000", "erase r:5000", "get r:5000"]


def test_an_identity_token_goes_to_a_helper_by_dockers_name(home: Path) -> None:
    helper(home, "good", HELPER)
    path = config(home, credsStore="good")
    credentials.store(read(path), "r", Credentials("u", "", "tok"))
    assert json.loads((home / "kept").read_text()) == {"ServerURL": "r", "Username": "<token>", "Secret": "tok"}
    found = credentials.load(read(path), "r")
    assert found is not None and (found.username, found.password, found.identity_token) == ("", "", "tok")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"credsStore": "missing"}, 'exec: "docker-credential-missing": executable file not found'),
        ({"credsStore": "broken"}, "exit status 3, out: `boom`"),
        ({"credHelpers": {"r:5000": "missing"}, "auths": {"r:5000": {"auth": "dTpw"}}}, "executable file not found"),
        ({"credsStore": "../../bin/true"}, "does not name a credential helper"),
        ({"credsStore": ["good"]}, "does not name a credential helper"),
        ({"credHelpers": "good"}, "does not name a credential helper"),
        ({"credHelpers": {"r:5000": {"good": 1}}}, "does not name a credential helper"),
        ({"credsStore": "chatty"}, "docker-credential-chatty gave no credentials"),
    ],
)
def test_a_broken_helper_is_an_error_and_nothing_else_is_asked(home: Path, data: dict[str, object], words: str) -> None:
    """CVE-2021-41092: a helper that cannot be used made clients send the credentials of another registry."""
    helper(home, "broken", BROKEN)
    helper(home, "chatty", '#!/bin/sh\necho \'{"Secret":"hunter2"}\'\n')
    path = config(home, **data)
    with pytest.raises((Unavailable, InvalidArgument)) as caught:
        credentials.load(read(path), "r:5000")
    assert words in caught.value.message and "hunter2" not in caught.value.message


@pytest.mark.parametrize("key", ["r:5000/", "https://r:5000", "https://r:5000/v1/"])
def test_a_key_as_a_url_is_the_same_registry_and_no_other(home: Path, key: str) -> None:
    """CVE-2021-41092: whatever a key looks like, its credentials go to that host alone."""
    path = config(home, auths={key: {"auth": "dTpw"}})
    for server in ("r", "r:5001", "docker.io", credentials.INDEX_SERVER, "5000", ""):
        assert credentials.load(read(path), server) is None, server
    assert credentials.load(read(path), "r:5000") is not None
    credentials.erase(read(path), "r:5000")
    assert json.loads(Path(path).read_text()) == {"auths": {}}


def test_storing_with_a_broken_helper_writes_nothing(home: Path) -> None:
    helper(home, "broken", BROKEN)
    path = config(home, credsStore="broken")
    before = Path(path).read_bytes()
    with pytest.raises(credentials.HelperFailure, match="error storing credentials - err: exit status 3"):
        credentials.store(read(path), "r", Credentials("u", "hunter2"))
    assert Path(path).read_bytes() == before


def test_the_file_is_for_its_owner_only(home: Path) -> None:
    path = config(home, auths={})
    os.chmod(path, 0o644)
    assert credentials.store(read(path), "r", Credentials("u", "p")) is True
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert json.loads(Path(path).read_text()) == {"auths": {"r": {"auth": "dTpw"}}}


def test_a_damaged_file_is_told_and_not_replaced(home: Path) -> None:
    path = home / "config.json"
    path.write_text("{bad")
    with pytest.raises(InvalidArgument, match="error parsing"):
        read(str(path))
    assert path.read_text() == "{bad"
