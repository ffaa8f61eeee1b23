"""The order in which the daemon is chosen, and config.json."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from scow.client import credentials
from scow.client.config import Config, read, write
from scow.client.select import connect, load_config
from scow.errors import InvalidArgument, NotFound


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("posix.environ", {b"HOME": str(tmp_path).encode()})
    (tmp_path / ".docker").mkdir()
    return tmp_path


def variables(monkeypatch: pytest.MonkeyPatch, home: Path, **values: str) -> None:
    environment = {key.encode(): value.encode() for key, value in values.items()}
    monkeypatch.setattr("posix.environ", {b"HOME": str(home).encode(), **environment})


def chosen(host: str = "", context: str = "") -> str:
    return connect(load_config(), host, context, "", {}).endpoint.host


def make_context(home: Path, name: str, host: str) -> None:
    directory = home / ".docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    directory.mkdir(parents=True)
    meta = {"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (directory / "meta.json").write_text(json.dumps(meta))


def test_the_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen() == "unix:///run/scow.sock"
    make_context(home, "ctx", "unix:///ctx")
    (home / ".docker/config.json").write_text('{"currentContext":"ctx"}')
    assert chosen() == "unix:///ctx"
    variables(monkeypatch, home, DOCKER_CONTEXT="default")
    assert chosen() == "unix:///run/scow.sock"
    variables(monkeypatch, home, DOCKER_HOST="unix:///docker")
    assert chosen() == "unix:///docker"
    variables(monkeypatch, home, DOCKER_HOST="unix:///docker", SCOW_HOST="unix:///scow")
    assert chosen() == "unix:///scow"
    assert chosen(context="ctx") == "unix:///ctx"
    assert chosen(host="/flag") == "unix:///flag"
    assert chosen(host="h:1") == "tcp://h:1"


def test_the_default_context_is_no_context(home: Path) -> None:
    (home / ".docker/config.json").write_text('{"currentContext":"default"}')
    assert chosen() == "unix:///run/scow.sock"


def test_a_missing_context_is_told(home: Path) -> None:
    with pytest.raises(NotFound, match='context "x"'):
        chosen(context="x")


def test_a_bad_host_is_told(home: Path) -> None:
    with pytest.raises(InvalidArgument, match="invalid bind address"):
        chosen(host="foo")


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"a":1}{'])
def test_a_bad_config_file_is_told_by_its_name(home: Path, text: str) -> None:
    (home / ".docker/config.json").write_text(text)
    with pytest.raises(InvalidArgument, match=r"config\.json"):
        load_config()


def test_config_is_rewritten_with_what_it_had(home: Path) -> None:
    path = home / ".docker/config.json"
    real = home / "elsewhere.json"
    real.write_text('{"auths":{"a":{"auth":"eDp5"}},"unknown":{"deep":[1]}}')
    path.symlink_to(real)
    config = read(str(path))
    credentials.store(config, "b:1", credentials.Credentials("u", "p:w"))
    assert path.is_symlink()
    data = json.loads(real.read_text())
    assert data["unknown"] == {"deep": [1]}
    assert set(data["auths"]) == {"a", "b:1"}
    assert stat.S_IMODE(os.stat(real).st_mode) == 0o600
    loaded = credentials.load(read(str(path)), "b:1")
    assert loaded is not None and (loaded.username, loaded.password) == ("u", "p:w")
    credentials.erase(read(str(path)), "b:1")
    assert set(json.loads(real.read_text())["auths"]) == {"a"}
    assert [name for name in os.listdir(home) if "json." in name] == []


def test_proxies_go_into_containers_unless_they_have_their_own() -> None:
    config = Config("", {"proxies": {"default": {"httpProxy": "http://p", "noProxy": "x"}}})
    assert config.proxies("unix:///a", ["HTTP_PROXY=own"]) == ["http_proxy=http://p", "NO_PROXY=x", "no_proxy=x"]


def test_a_credential_helper_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = home / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread s; [ "$s" = known ] || { echo "credentials not found in native keychain"; exit 1; }\n'
        'echo \'{"ServerURL":"known","Username":"<token>","Secret":"tok"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    config = Config("", {"credsStore": "test"})
    found = credentials.load(config, "known")
    assert found is not None and found.identity_token == "tok"
    assert credentials.load(config, "other") is None


def test_the_auth_header_is_url_safe_base64() -> None:
    import base64

    [(name, value)] = credentials.header(credentials.Credentials("u", "?>~~é"), "h")
    assert name == "X-Registry-Auth"
    assert json.loads(base64.urlsafe_b64decode(value)) == {"username": "u", "password": "?>~~é", "serveraddress": "h"}
    assert credentials.header(None, "h") == []


def test_writing_leaves_the_old_file_when_it_fails(home: Path) -> None:
    config = Config(str(home / "missing" / "x" / "config.json"), {"auths": {}})
    write(config)
    assert json.loads(Path(config.path).read_text()) == {"auths": {}}
