"""What comes ahead of a build from scow's own client: contexts (a manifest, then the files that are asked for), ssh agents."""

from dataclasses import replace

import msgspec

from scow.engine.builds import contexts
from scow.errors import Unsupported
from scow.server.docker import build
from scow.server.docker.call import Call
from scow.server.docker.hijack import upgrade

_LARGEST_MANIFEST = 256 << 20
_ARCHIVE = "application/x-tar"


class Proposed(msgspec.Struct):
    """`Missing`: numbers of the manifest's files whose contents must be sent, in that order."""

    Id: str
    Missing: list[int]


async def propose(call: Call) -> None:
    """POST /scow/build/contexts. The body is a manifest (build/manifest.py), or with the type of an archive a whole context."""
    uid = call.request.peer_uid
    if call.request.headers.get("content-type", "") == _ARCHIVE:
        call.send(Proposed(await contexts.whole(call.engine, uid, build.body(call)), []))
        return
    if uid is None:
        raise Unsupported(
            "a context of changed files only is supported by scow on a unix socket, where the user is known"
        )
    manifest = await call.request.read(_LARGEST_MANIFEST)
    request = build.read(call)
    if call.flag("named"):  # a context beside the main one has no Dockerfile that would tell what of it is needed
        request = replace(request, dockerfile="")
    call.send(Proposed(*await contexts.propose(call.engine, request, uid, call.text("name"), manifest)))


async def agent(call: Call) -> None:
    """POST /scow/build/agents: the connection becomes the way to the client's ssh agent (build/agents.py)."""
    id_, uid = call.text("id"), call.request.peer_uid
    call.engine.builder.agents.check(id_)
    sock, _ = await upgrade(call, tty=True)
    call.engine.builder.agents.add(id_, sock, uid)


async def complete(call: Call) -> None:
    """POST /scow/build/contexts/files. The body are the files that `propose` has asked for."""
    uid = call.request.peer_uid
    id_ = await contexts.complete(call.engine, call.text("id"), -1 if uid is None else uid, build.body(call))
    call.send(Proposed(id_, []))
