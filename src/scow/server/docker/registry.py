"""Routes that talk to registries for a client: push, auth, search, and looking at what is there."""

import binascii
from collections.abc import Callable

from scow.api.create import AuthBody
from scow.api.image import AuthAnswer
from scow.api.registry import (
    DescriptorItem,
    DistributionInspect,
    ListBody,
    ListPushed,
    PlatformItem,
    RemoteDocument,
    RemoteTags,
    SearchItem,
)
from scow.api.values import UNSET
from scow.engine.images import login as logging_in
from scow.engine.images import push as pushing
from scow.engine.images import search as searching
from scow.engine.ports import Credentials, RemoteManifest
from scow.errors import InvalidArgument, ScowError
from scow.model.transfer import ListPart
from scow.oci.reference import Reference
from scow.server.docker import body as bodies
from scow.server.docker.call import Call
from scow.server.docker.platforms import platform_of
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
    platform = platform_of(call)

    async def work(progress: Callable[[Step], None]) -> None:
        await pushing.push(call.engine, reference, every_tag, platform, credentials, progress)

    await answer(call, work, f"push {reference.familiar}")


async def search(call: Call) -> None:
    """GET /images/search"""
    limit = call.text("limit")
    if limit and not (limit.removeprefix("-").isascii() and limit.removeprefix("-").isdigit() and len(limit) < 19):
        raise InvalidArgument(f'invalid limit specified: strconv.Atoi: parsing "{limit}": invalid syntax')
    found = await searching.search(call.engine, call.text("term"), int(limit or 0), call.filters(), registry_auth(call))
    call.send([SearchItem(item.stars, item.official, item.name, False, item.description) for item in found])


async def distribution(call: Call) -> None:
    """GET /distribution/{name}/json"""
    found = await call.engine.images.look(Reference.parse(call.name), registry_auth(call))
    call.send(DistributionInspect(_descriptor(found), [_platform(item) for item in found.platforms]))


async def manifest(call: Call) -> None:
    """GET /scow/registry/manifest: documents as they are, for `scow manifest inspect`."""
    reference = Reference.parse(call.text("name"))
    found = await call.engine.images.look(reference, registry_auth(call), entries=call.flag("entries"))
    call.send(_remote(found))


async def push_list(call: Call) -> None:
    """POST /scow/registry/manifest: `scow manifest push`."""
    wire = await call.json(ListBody)
    try:
        data = binascii.a2b_base64(wire.Raw)
        sources = [
            ListPart(Reference.parse(item.Repository), binascii.a2b_base64(item.Raw), item.MediaType)
            for item in wire.Manifests
        ]
    except (binascii.Error, ValueError):
        raise InvalidArgument("a manifest is not in base64") from None
    reference = Reference.parse(call.text("name"))
    digest, pushed = await call.engine.images.push_list(reference, data, wire.MediaType, sources, registry_auth(call))
    call.send(ListPushed(digest, pushed))


async def tags(call: Call) -> None:
    """GET /scow/registry/tags: the tags of a repository in its registry."""
    reference = Reference.parse(call.text("name"))
    call.send(RemoteTags(await searching.tags(call.engine, reference, registry_auth(call))))


def _remote(found: RemoteManifest) -> RemoteDocument:
    platform = _platform(found.platforms[0]) if len(found.platforms) == 1 else UNSET
    entries = [_remote(entry) for entry in found.entries]
    return RemoteDocument(
        _descriptor(found), binascii.b2a_base64(found.data, newline=False).decode(), platform, entries
    )


def _descriptor(found: RemoteManifest) -> DescriptorItem:
    return DescriptorItem(found.media_type, found.digest, len(found.data))


def _platform(names: tuple[str, str, str]) -> PlatformItem:
    system, architecture, variant = names
    return PlatformItem(architecture, system, variant or UNSET)


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
