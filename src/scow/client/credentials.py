"""Registry credentials: config.json's `auths`, or a credential helper program when one is configured."""

from __future__ import annotations

import binascii

from scow.client import jsontext
from scow.errors import NotFound, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.client.config import Config

INDEX_SERVER = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"


class Credentials:
    """A user name with password, or with an identity token."""

    __slots__ = ("identity_token", "password", "username")

    def __init__(self, username: str, password: str, identity_token: str = "") -> None:
        self.username = username
        self.password = password
        self.identity_token = identity_token


def server_key(domain: str) -> str:
    """Under which name a registry's credentials are kept."""
    return INDEX_SERVER if domain in ("docker.io", "index.docker.io") else domain


def host_name(text: str) -> str:
    """A registry as users write it, without scheme and path."""
    return text.removeprefix("https://").removeprefix("http://").partition("/")[0]


def helper_of(config: Config, server: str) -> str:
    """The configured credential helper's suffix, empty when the file itself is the store."""
    helper = config.mapping("credHelpers").get(server) or config.text("credsStore")
    return helper if isinstance(helper, str) else ""


def load(config: Config | None, server: str) -> Credentials | None:
    """The credentials for a server key, None when there are none. Raises Unavailable when a helper fails."""
    if config is None:
        return None
    helper = helper_of(config, server)
    if helper:
        return _from_helper(helper, server)
    for key, entry in config.mapping("auths").items():
        if isinstance(entry, dict) and (key == server or (server != INDEX_SERVER and host_name(key) == server)):
            return _from_entry(entry)
    return None


def _from_entry(entry: dict[str, object]) -> Credentials | None:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    packed = entry.get("auth")
    if isinstance(packed, str) and packed:
        try:
            text = binascii.a2b_base64(packed).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise NotFound("the stored credentials are not valid base64") from None
        username, _, password = text.partition(":")
        password = password.strip("\0")
    token = str(entry.get("identitytoken") or "")
    return Credentials(username, password, token) if username or password or token else None


def _run(helper: str, action: str, text: str) -> str:
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, action], input=text, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"error getting credentials - err: {error}") from error
    if done.returncode:
        said = done.stdout.strip()
        if "credentials not found" in said:
            raise NotFound(said)
        raise Unavailable(f"error getting credentials - err: exit status {done.returncode}, out: `{said}`")
    return done.stdout


def _from_helper(helper: str, server: str) -> Credentials | None:
    try:
        answer = jsontext.decode(_run(helper, "get", server))
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except NotFound:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"bad answer of docker-credential-{helper}: {error}") from error
    return Credentials("", "", secret) if username == _TOKEN_USER else Credentials(username, secret)


def store(config: Config, server: str, credentials: Credentials) -> bool:
    """Keeps credentials; True when they were put into the file (which is not encrypted)."""
    from scow.client.config import write

    auths = config.data.setdefault("auths", {})
    helper = helper_of(config, server)
    if helper:
        user, secret = credentials.username, credentials.password
        if credentials.identity_token:
            user, secret = _TOKEN_USER, credentials.identity_token
        request = {"ServerURL": server, "Username": user, "Secret": secret}
        _run(helper, "store", jsontext.encode(request).decode())
        auths[server] = {}
    else:
        packed = f"{credentials.username}:{credentials.password}".encode()
        if credentials.identity_token:
            packed = f"{credentials.username}:".encode()
        entry = {"auth": binascii.b2a_base64(packed, newline=False).decode()}
        if credentials.identity_token:
            entry["identitytoken"] = credentials.identity_token
        auths[server] = entry
    write(config)
    return not helper


def erase(config: Config, server: str) -> None:
    """Forgets a server's credentials."""
    from scow.client.config import write

    helper = helper_of(config, server)
    if helper:
        try:
            _run(helper, "erase", server)
        except NotFound:
            pass
    auths = config.mapping("auths")
    for key in [key for key in auths if key == server or (server != INDEX_SERVER and host_name(key) == server)]:
        del auths[key]
    if "auths" in config.data:
        write(config)


def header(credentials: Credentials | None, server: str) -> list[tuple[str, str]]:
    """The X-Registry-Auth header for a registry's requests."""
    if credentials is None:
        return []
    value = {"username": credentials.username, "password": credentials.password, "serveraddress": server}
    if credentials.identity_token:
        value = {"identitytoken": credentials.identity_token, "serveraddress": server}
    packed = binascii.b2a_base64(jsontext.encode(value), newline=False).decode()
    return [("X-Registry-Auth", packed.replace("+", "-").replace("/", "_"))]
