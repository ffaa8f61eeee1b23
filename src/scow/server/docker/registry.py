"""Routes that talk to registries for a client: push, auth."""

import binascii
from collections.abc import Callable

from scow.api.create import AuthBody
from scow.api.image import AuthAnswer
from scow.engine.images import login as logging_in
from scow.engine.images import push as pushing
from scow.engine.ports import Credentials
from scow.errors import InvalidArgument, ScowError
from scow.oci.reference import Reference
from scow.server.docker import body as bodies
from scow.server.docker.call import Call
from scow.server.docker.progress import Step, answer

_MAX_AUTH = 64 << 10
_URL_SAFE = str.maketrans("-_", "+/")


async def auth(call: Call) -> None:
    """POST /auth"""
    wire = await call.json(AuthBody)
    token = await logging_in.login(call.engine, credentials_of(wire))
    call.send(AuthAnswer(token, "Login Succeeded"))


async def push(call: Call) -> None:
    """POST /images/{name}/push"""
    credentials = registry_auth(call)
    if not call.request.headers.get("x-registry-auth", ""):
        credentials = await _auth_in_body(call)
    reference = Reference.parse(call.name)
    tag = call.text("tag")
    if tag:
        reference = reference.with_tag(tag)
    every_tag = reference.tag is None and reference.digest is None
    platform = call.text("platform")

    async def work(progress: Callable[[Step], None]) -> None:
        await pushing.push(call.engine, reference, every_tag, platform, credentials, progress)

    await answer(call, work, f"push {reference.familiar}")


async def _auth_in_body(call: Call) -> Credentials:
    """Credentials where old clients put them. Docker does not push for a client that says nothing about them."""
    try:
        wire = await call.optional_json(AuthBody)
    except InvalidArgument as error:
        raise InvalidArgument(f"bad parameters and missing X-Registry-Auth: {error.message}") from None
    if wire is None:
        raise InvalidArgument("bad parameters and missing X-Registry-Auth: invalid X-Registry-Auth header: EOF")
    return credentials_of(wire)


def registry_auth(call: Call) -> Credentials | None:
    """The X-Registry-Auth header; None when there is none, or when it cannot be read (as Docker treats it)."""
    text = call.request.headers.get("x-registry-auth", "")
    if not text or len(text) > _MAX_AUTH:
        return None
    try:
        plain = text.translate(_URL_SAFE).rstrip("=")
        raw = binascii.a2b_base64(plain + "=" * (-len(plain) % 4))
        return credentials_of(bodies.decode(raw, AuthBody))
    except (binascii.Error, ValueError, ScowError):
        return None


def credentials_of(wire: AuthBody) -> Credentials:
    """The credentials in Docker's AuthConfig; `auth` is user name and password in base64."""
    username, password = wire.username, wire.password
    if wire.auth and not username:
        try:
            username, _, password = binascii.a2b_base64(wire.auth).decode().partition(":")
        except (binascii.Error, ValueError):
            raise InvalidArgument("auth is not base64 of username:password") from None
    return Credentials(username, password, wire.identitytoken, wire.registrytoken, wire.server_address)
