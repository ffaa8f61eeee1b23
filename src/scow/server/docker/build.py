"""POST /build: an image from a context, in the classic builder's dialogue."""

import binascii
import posixpath
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from scow.api.create import AuthBody
from scow.api.host_config import Ulimit as WireUlimit
from scow.api.system import PruneBuilds
from scow.build import git_address, named
from scow.build.request import BuildRequest, Finder, RunLimits
from scow.engine.builds import build as building
from scow.engine.builds import cache
from scow.engine.ports import Credentials
from scow.errors import InvalidArgument, ScowError, Unsupported
from scow.model.container import Resources, Ulimit
from scow.model.transfer import BuiltImage, Sentence
from scow.oci.platform import Platform
from scow.oci.reference import Reference
from scow.server.docker import outputs, query
from scow.server.docker.call import Call
from scow.server.docker.framed import Framed
from scow.server.docker.outputs import names
from scow.server.docker.progress import Step, answer
from scow.server.docker.registry import credentials_of

_UPLOAD = "upload:"
_EPOCH = "SOURCE_DATE_EPOCH"
_HUB = "https://index.docker.io/v1/"
_MAX_HEADER = 1 << 20
_URL_SAFE = str.maketrans("-_", "+/")
_REFUSED = {
    "session": "a build session",
}


async def build(call: Call) -> None:
    """POST /build"""
    request = read(call)
    quiet = call.flag("q")
    framed = Framed(call) if any(output.archive for output in request.outputs) else None

    async def work(tell: Callable[[Step], None]) -> None:
        said: list[Step] = []
        deliver = framed.deliver if framed else _nowhere
        try:
            left = await building.build(
                call.engine, request, body(call), said.append if quiet else tell, deliver, call.request.peer_uid
            )
        except ScowError:
            for step in said:
                tell(step)
            raise
        if quiet and left.id:
            tell(Sentence(left.id + "\n"))
        if call.flag("metadata") and left.id:
            tell(BuiltImage(left.id, left.manifest, tuple(str(name) for name in left.names)))

    await answer(call, work, "build", open_stream=framed.open if framed else None)


async def _nowhere(number: int, pieces: AsyncIterator[bytes]) -> None:
    """No output is an archive."""


async def prune(call: Call) -> None:
    """POST /build/prune. `keep-storage` is the older name of `reserved-space`."""
    keep = _bytes(call, "keep-storage")
    request = cache.PruneRequest(
        call.flag("all"),
        _bytes(call, "reserved-space") or keep,
        _bytes(call, "max-used-space"),
        _bytes(call, "min-free-space"),
        call.filters(),
    )
    removed, freed = await cache.prune(call.engine, request)
    call.send(PruneBuilds(removed or None, freed))


def _bytes(call: Call, name: str) -> int:
    try:
        found = call.integer_or(name, None) or 0
    except InvalidArgument as error:
        raise InvalidArgument(
            f"{name} is in bytes and expects an integer, got {call.text(name)}: {error.message}"
        ) from None
    if found < 0:
        raise InvalidArgument(f"{name} is in bytes and cannot be {found}")
    return found


async def body(call: Call) -> AsyncIterator[bytes]:
    while chunk := await call.request.next_chunk():
        yield chunk


def read(call: Call) -> BuildRequest:
    for name, what in _REFUSED.items():
        if query.boolean(call.text(name)):
            raise Unsupported(f"{what} ({name}) is not supported by scow")
    if call.text("version") not in ("", "1"):
        raise Unsupported(
            f"builder version {call.text('version')} (a session of BuildKit) is not supported by scow: "
            "use the classic builder's protocol (DOCKER_BUILDKIT=0) or scow build"
        )
    if call.text("isolation") not in ("", "default"):
        raise InvalidArgument(f'unsupported isolation: "{call.text("isolation")}"')
    remote = call.text("remote")
    if remote and not named.is_remote(remote):
        raise InvalidArgument(f"invalid remote context: {git_address.redacted(remote)[:200]}")
    contexts, sent = _contexts(call)
    arguments = _json(call, "buildargs", "build args", dict[str, str | None]) or {}
    here, pulled = _lenders(call)
    return BuildRequest(
        dockerfile=_dockerfile(call.text("dockerfile")),
        context=call.text("context"),
        contexts=contexts,
        sent=sent,
        remote=remote,
        names=names(call.texts("t")),
        outputs=outputs.read(_json(call, "outputs", "outputs", list[outputs.Wire]) or ()),
        arguments=arguments,
        labels=_json(call, "labels", "labels", dict[str, str]) or {},
        target=call.text("target"),
        platform=Platform.parse(call.text("platform")) if call.text("platform") else None,
        pull=call.flag("pull"),
        use_cache=not call.flag("nocache"),
        anew=frozenset(name.lower() for name in _json(call, "nocachefilter", "no-cache filter", list[str]) or ()),
        cache_from=here,
        cache_pulled=pulled,
        squash=call.flag("squash"),
        remove=call.flag("rm", True),
        remove_failed=call.flag("forcerm"),
        stamp=_stamp(arguments.get(_EPOCH)),
        limits=_limits(call),
        trace=call.flag("trace") and not call.flag("q"),
        secrets=_secrets(call),
        agents=_json(call, "ssh", "ssh agents", dict[str, str]) or {},
        credentials=_credentials(call),
    )


def _contexts(call: Call) -> tuple[dict[str, str], dict[str, str]]:
    """(what names stand for, "" for uploads; the ids of the uploads). `contexts` is a JSON object; an upload is upload:ID."""
    given: dict[str, str] = _json(call, "contexts", "contexts", dict[str, str]) or {}
    contexts, sent = {}, {}
    for name, value in given.items():
        if value.startswith(_UPLOAD):
            contexts[name], sent[name] = "", value.removeprefix(_UPLOAD)
        else:
            named.check(name, value)
            contexts[name] = value
    return contexts, sent


def _dockerfile(text: str) -> str:
    """A path in the context; what leads out of it leads to its root."""
    return posixpath.normpath("/" + (text or "Dockerfile")).lstrip("/")


def _json(call: Call, name: str, what: str, kind: Any) -> Any:
    text = call.text(name)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=kind | None)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArgument(f"error reading {what}: {str(error)[:200]}") from None


def _stamp(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise InvalidArgument(f"invalid {_EPOCH}: {text[:40]}")
    return int(text)


def _limits(call: Call) -> RunLimits:
    def number(name: str) -> int:
        return call.integer_or(name, 0) or 0

    ulimits = _json(call, "ulimits", "ulimit settings", list[WireUlimit]) or []
    return RunLimits(
        network="" if call.text("networkmode") == "default" else call.text("networkmode"),
        resources=Resources(
            memory=number("memory"),
            memory_swap=number("memswap"),
            cpu_shares=number("cpushares"),
            cpu_period=number("cpuperiod"),
            cpu_quota=number("cpuquota"),
            cpuset_cpus=call.text("cpusetcpus"),
            cpuset_mems=call.text("cpusetmems"),
        ),
        shm_size=query.integer(call.text("shmsize"), "ParseInt") if call.text("shmsize") else 0,
        ulimits=tuple(Ulimit(limit.Name, limit.Soft, limit.Hard) for limit in ulimits),
        cgroup_parent=call.text("cgroupparent"),
        security_opt=tuple(call.texts("securityopt")),
        extra_hosts=tuple(call.texts("extrahosts")),
    )


def _secrets(call: Call) -> dict[str, bytes]:
    """The X-Scow-Build-Secrets header: base64 of a JSON object of ids and base64 values. Its errors do not show it."""
    text = call.request.headers.get("x-scow-build-secrets", "")
    if not text:
        return {}
    try:
        return msgspec.json.decode(binascii.a2b_base64(text), type=dict[str, bytes])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise InvalidArgument("X-Scow-Build-Secrets is not base64 of a JSON object of base64 values") from None


def _credentials(call: Call) -> Finder:
    """The X-Registry-Config header: credentials by registry."""
    text = call.request.headers.get("x-registry-config", "")
    found: dict[str, AuthBody] = {}
    if text and len(text) <= _MAX_HEADER:
        try:
            plain = text.translate(_URL_SAFE).rstrip("=")
            raw = binascii.a2b_base64(plain + "=" * (-len(plain) % 4))
            found = msgspec.json.decode(raw, type=dict[str, AuthBody])
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            found = {}  # as in Docker: it is as if there were none

    def find(domain: str) -> Credentials | None:
        keys = (domain, f"https://{domain}", f"http://{domain}", *((_HUB,) if domain == "docker.io" else ()))
        for key in keys:
            if key in found:
                return credentials_of(found[key])
        return None

    return find


def _lenders(call: Call) -> tuple[tuple[str, ...], tuple[Reference, ...]]:
    """(names of images, those to be pulled); BuildKit's other places of a cache are refused."""
    here, pulled = [], []
    for name in _json(call, "cachefrom", "cache-from", list[str]) or ():
        if "=" not in name:
            here.append(name)
            continue
        fields = dict(field.partition("=")[::2] for field in name.split(","))
        if fields.pop("type", "") != "registry" or "ref" not in fields:
            raise Unsupported(f"a cache of another kind than an image ({name}) is not supported by scow")
        pulled.append(Reference.parse(fields.pop("ref")).with_default_tag())
        if fields:
            raise Unsupported(f"{min(fields)} of a cache in a registry ({name}) is not supported by scow")
    return tuple(here), tuple(pulled)
