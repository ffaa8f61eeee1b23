"""Registry credentials: config.json's `auths`, or a credential helper program when one is configured."""

from __future__ import annotations

import binascii

from scow.client import jsontext
from scow.errors import InvalidArgument, NotFound, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.client.config import Config

INDEX_SERVER = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_LONGEST = 1 << 20
_DOING = {"get": "getting", "store": "storing", "erase": "erasing"}


class HelperFailure(Unavailable):
    """A credential helper could not be run, or failed."""


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
    """The configured credential helper's suffix, empty when the file itself is the store.

    A setting that cannot be one is an error: nothing else is asked in its place (CVE-2021-41092).
    """
    settings = config.data.get("credHelpers")
    store = config.data.get("credsStore")
    own = settings.get(server) if isinstance(settings, dict) else settings and [settings]
    for key, helper in (("credHelpers", own), ("credsStore", store)):
        if helper is None or helper == "":
            continue
        if not isinstance(helper, str) or not _NAME.issuperset(helper):
            raise InvalidArgument(f"{config.path}: {key} does not name a credential helper: {str(helper)[:80]!r}")
        return helper
    return ""


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
    """What a helper program answers; what it writes to stderr the user sees. The secret is on its stdin only."""
    import subprocess

    program = f"docker-credential-{helper}"
    failed = f"error {_DOING[action]} credentials - err: "
    try:
        done = subprocess.run([program, action], input=text.encode(), stdout=subprocess.PIPE, timeout=60, check=False)
    except FileNotFoundError:
        raise HelperFailure(f'{failed}exec: "{program}": executable file not found in $PATH, out: ``') from None
    except subprocess.TimeoutExpired:
        raise HelperFailure(f"{failed}{program} does not answer") from None
    except OSError as error:
        raise HelperFailure(f"{failed}{program}: {error.strerror}") from error
    said = done.stdout[:_LONGEST].decode("utf-8", "replace")
    if done.returncode:
        if "credentials not found" in said:
            raise NotFound(said.strip())
        raise HelperFailure(f"{failed}exit status {done.returncode}, out: `{said.strip()[:400]}`")
    return said


def _from_helper(helper: str, server: str) -> Credentials | None:
    try:
        answer = jsontext.decode(_run(helper, "get", server))
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except NotFound:
        return None
    except (ValueError, KeyError, TypeError):  # whose text may hold the secret
        raise HelperFailure(
            f"error getting credentials - err: docker-credential-{helper} gave no credentials"
        ) from None
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
        _run(helper, "store", jsontext.encode(request).decode() + "\n")
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

    auths = config.mapping("auths")
    spelt = [key for key in auths if key == server or (server != INDEX_SERVER and host_name(key) == server)]
    for key in spelt:
        del auths[key]
    if spelt:
        write(config)
    helper = helper_of(config, server)
    for key in dict.fromkeys((server, *spelt)) if helper else ():
        try:
            _run(helper, "erase", key)
        except NotFound:
            pass


def header(credentials: Credentials | None, server: str) -> list[tuple[str, str]]:
    """The X-Registry-Auth header for a registry's requests."""
    if credentials is None:
        return []
    value = {"username": credentials.username, "password": credentials.password, "serveraddress": server}
    if credentials.identity_token:
        value = {"identitytoken": credentials.identity_token, "serveraddress": server}
    packed = binascii.b2a_base64(jsontext.encode(value), newline=False).decode()
    return [("X-Registry-Auth", packed.replace("+", "-").replace("/", "_"))]
