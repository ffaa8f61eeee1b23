"""Tokens: https://distribution.github.io/distribution/spec/auth/token/ and its OAuth2 form (refresh tokens)."""

import base64
import time
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from scow.errors import Unauthenticated
from scow.images.registry import faults, realm
from scow.images.registry.endpoint import Endpoint
from scow.images.registry.transport import Transport
from scow.model.transfer import Credentials
from scow.oci.documents import load, text_field

_ANSWER_LIMIT = 1 << 20
_CLIENT_ID = "scow"
_SHORTEST_LIFE = 60
_LONGEST_TOKEN = 64 << 10
_NO_OAUTH = frozenset({404, 405})  # a token server that knows GET only


class LoginRefused(Unauthenticated):
    """The registry or its token server does not accept the credentials."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; `expires` is on time.monotonic's clock. `refresh` is an identity token for later logins, or ""."""

    text: str
    expires: float
    refresh: str = ""

    @property
    def valid(self) -> bool:
        return time.monotonic() < self.expires


async def request(
    transport: Transport,
    endpoint: Endpoint,
    parameters: dict[str, str],
    scopes: tuple[str, ...],
    credentials: Credentials,
    *,
    offline: bool = False,
) -> Token:
    """Ask the token server that a Bearer challenge names. Raises UntrustedRealm before anything is sent."""
    has_credentials = bool(credentials.password or credentials.identity_token)
    url = realm.check(parameters.get("realm", ""), endpoint, with_credentials=has_credentials)
    service = parameters.get("service", "")
    answer = None
    if credentials.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": credentials.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await transport.fetch("POST", url, _ANSWER_LIMIT, headers, urlencode(form).encode())
    if answer is None or answer.status in _NO_OAUTH:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        headers = {}
        if credentials.password:
            query += [("account", credentials.username), ("client_id", _CLIENT_ID)]
            headers["Authorization"] = basic(credentials)
        if offline:
            query.append(("offline_token", "true"))
        answer = await transport.fetch("GET", _with_query(url, query), _ANSWER_LIMIT, headers)
    if answer.status == 401:
        raise LoginRefused(f'Get "{url}": unauthorized: incorrect username or password')
    if answer.status != 200:
        raise faults.from_answer(answer.status, answer.body, answer.reason, None, answer.headers)
    return _token(answer.body)


def _token(body: bytes) -> Token:
    document = load(body, "token answer", _ANSWER_LIMIT)
    text = text_field(document, "token", "token answer") or text_field(document, "access_token", "token answer")
    if not text or len(text) > _LONGEST_TOKEN or not text.isascii() or not text.isprintable():
        raise faults.RegistryFailure("authorization server did not include a token in the response")
    life = document.get("expires_in")
    seconds = life if isinstance(life, int) and life > _SHORTEST_LIFE else _SHORTEST_LIFE
    return Token(text, time.monotonic() + seconds * 0.9, text_field(document, "refresh_token", "token answer"))


def basic(credentials: Credentials) -> str:
    """The value of an Authorization header."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _with_query(url: str, query: list[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, urlencode(query)) if part)))
