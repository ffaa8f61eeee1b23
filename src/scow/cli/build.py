"""`scow build`: an image from a Dockerfile and a context."""

from __future__ import annotations

import binascii
import os
import time

from scow.cli import build_buildx, build_outputs, build_show, build_source, build_verify
from scow.cli.build_ssh import Lent
from scow.cli.command import Command, Exit, environment
from scow.cli.output import warn, write_all
from scow.cli.progress import ProgressError
from scow.cli.pulling import show
from scow.cli.units import human_size
from scow.client import credentials, jsontext
from scow.client.api import ApiError
from scow.client.upload import upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option
    from scow.client.api import Response

_OPTIONS: tuple[Option, ...] = tuple(
    sorted(
        (
            *build_buildx.OPTIONS,
            ("add-host", "", "list", "", "Add a line to the hosts file of RUN (host:ip)"),
            ("build-context", "", "list", "", "A further context (name=PATH | URL | docker-image://IMAGE)"),
            ("build-arg", "", "list", "", "Set a build argument (NAME=value, or NAME for the environment's value)"),
            ("cache-from", "", "list", "", "Images whose layers may be used as cache"),
            ("cgroup-parent", "", "string", "", "Parent cgroup of RUN"),
            ("check", "", "bool", "", "Check the Dockerfile and build nothing"),
            ("compress", "", "bool", "", "Compress the context with gzip on its way"),
            ("cpu-period", "", "int64", "0", "CPU CFS period in microseconds"),
            ("cpu-quota", "", "int64", "0", "CPU CFS quota in microseconds"),
            ("cpu-shares", "c", "int64", "0", "CPU shares (relative weight)"),
            ("cpuset-cpus", "", "string", "", "CPUs that may be used (0-3, 0,1)"),
            ("cpuset-mems", "", "string", "", "Memory nodes that may be used (0-3, 0,1)"),
            ("disable-content-trust", "", "bool", "true", ""),
            ("file", "f", "string", "", "The Dockerfile (- for stdin); PATH/Dockerfile when not given"),
            ("format", "", "string", "", "How --verify is told (json)"),
            ("force-rm", "", "bool", "", ""),
            ("iidfile", "", "string", "", "Write the image's ID to a file"),
            ("isolation", "", "string", "", ""),
            ("label", "", "list", "", "Set metadata on the image"),
            ("memory", "m", "bytes", "0", "Memory limit of RUN"),
            ("memory-swap", "", "swap", "0", "Limit of memory plus swap; -1 for unlimited swap"),
            ("load", "", "bool", "", "The same as --output=type=docker"),
            ("network", "", "string", "default", "Network of RUN"),
            ("no-cache", "", "bool", "", "Do not use the build cache"),
            (
                "output",
                "o",
                "list",
                "",
                "What is made of the target (type=image|registry|docker|oci|local|tar, DIRECTORY, -)",
            ),
            ("platform", "", "string", "", "Platform of the image"),
            ("progress", "", "string", "auto", "How the steps are shown (auto|plain|tty|quiet|rawjson)"),
            ("pull", "", "bool", "", "Always try to pull a newer version of the base images"),
            ("push", "", "bool", "", "The same as --output=type=registry"),
            ("quiet", "q", "bool", "", "Print nothing but the image's ID"),
            ("rm", "", "bool", "true", ""),
            ("secret", "", "list", "", "A secret for RUN --mount=type=secret (id=NAME[,src=FILE|,env=VARIABLE])"),
            ("security-opt", "", "list", "", "Security options of RUN"),
            ("shm-size", "", "bytes", "0", "Size of /dev/shm of RUN"),
            ("ssh", "", "list", "", "An ssh agent for RUN --mount=type=ssh (default, or ID=SOCKET, or ID=KEY[,KEY])"),
            ("squash", "", "bool", "", "Make one layer of those on top of the base"),
            ("tag", "t", "list", "", "Name of the image, optionally with a tag (name:tag)"),
            ("target", "", "string", "", "The stage to build"),
            ("ulimit", "", "ulimit", "", "Limits of RUN (name=soft:hard)"),
            ("verify", "", "string", "", "Build an image once more, keep nothing, and say whether it is the same"),
        )
    )
)
_EPOCH = "SOURCE_DATE_EPOCH"


def _build(session: Session, flags: Flags, args: list[str]) -> int:
    build_verify.check(flags)
    if not args:
        if not flags.text("verify"):
            _ONE.check_count(session.path, session.program, 0)
        args = ["."]
    progress = flags.text("progress")
    if progress not in build_show.MODES:
        raise Exit(1, f"invalid progress {progress}: use one of {', '.join(build_show.MODES)}")
    quiet = flags.on("quiet") or progress == "quiet"
    build_buildx.check(flags)
    if flags.on("check") or flags.text("call") != "build":
        return _check(session, flags, args[0])
    lent = Lent(flags.items("ssh"))
    try:
        return _run(session, flags, args[0], quiet, lent)
    finally:
        lent.close()


def _run(session: Session, flags: Flags, given: str, quiet: bool, lent: Lent) -> int:
    wanted = _outputs(flags)
    out = 2 if flags.text("format") else build_outputs.progress_descriptor(wanted)
    source, dockerfile, size, sync = build_source.context(session, flags, given)
    if flags.on("compress"):
        source = build_source.compressed(source)
    params = _parameters(session, flags, quiet) + build_outputs.parameter(wanted) + build_buildx.parameters(flags)
    params.append(("dockerfile", dockerfile))
    began = time.time()
    verify = flags.text("verify")
    mode = "" if quiet or verify else build_show.traced(flags.text("progress"), out)
    if mode:
        params.append(("trace", "1"))
    if build_source.is_remote(given):
        params.append(("remote", given))
    if verify:
        params.append(("image", verify))
    headers = [("Content-Type", "application/x-tar"), *_credentials(session), *_secrets(flags.items("secret"))]
    try:
        params += lent.open(session.client)
        params += build_source.named(session, flags.items("build-context"))
        id_ = sync.run(params) if sync is not None else None
        if sync is not None and id_ is not None:
            source, size = (lambda: b""), (lambda: sync.size)
            params.append(("context", id_))
        response = upload(session.client, "POST", build_verify.PATH if verify else "/build", params, source, headers)
    except ApiError as error:
        raise Exit(1, f"{_place(flags, given)}{error}") from None
    if not quiet and not mode and size is not None:
        write_all(out, f"Sending build context to Docker daemon  {human_size(size(), 4)}\n".encode())
    received = build_outputs.Received(response, wanted) if any(one.place for one in wanted) else None
    heard = _Heard(received or response)
    try:
        if mode:
            loaded = None if size is None else lambda: human_size(size(), 4)
            build_show.show(mode, heard, out, loaded, began)
        else:
            show(heard, out)  # type: ignore[arg-type]
    except ProgressError as error:
        warn(error.message)
        return error.status or 1
    for path in received.skipped if received else ():
        warn(f"{path} is a device and was left out")
    return _finish(flags, heard)


def _finish(flags: Flags, heard: _Heard) -> int:
    """What is left to do when all is built."""
    verify = flags.text("verify")
    if verify:
        return build_verify.report(verify, heard.noted("Verdict"), flags.text("format") == "json")
    if flags.text("iidfile") and heard.ids:
        with open(flags.text("iidfile"), "w", encoding="ascii") as stream:
            stream.write(heard.ids[-1])
    if flags.text("metadata-file"):
        build_buildx.write_metadata(flags.text("metadata-file"), heard.notes.get("Metadata", {}))
    return 0


def _outputs(flags: Flags) -> list[build_outputs.Wanted]:
    from scow.cli.terminal import is_terminal

    words = flags.items("output")
    if not (words or flags.on("push") or flags.on("load")):
        return []
    return build_outputs.parse(words, flags.on("push"), flags.on("load"), is_terminal(1))


def _check(session: Session, flags: Flags, given: str) -> int:
    from scow.cli.build_check import check

    text = _local_text(flags, given)
    if text is None:
        raise Exit(1, "scow: --check needs a directory, or a Dockerfile on stdin")
    path = flags.text("file")
    name = os.path.basename(path) if path and path != "-" else "Dockerfile"
    shown = name if path == "-" else os.path.relpath(path or os.path.join(given, name), given)
    ignore = None if given == "-" else build_source.ignore_text(given, shown)
    return check(session, text, name, ignore, flags.text("platform"))


def _place(flags: Flags, given: str) -> str:
    """The lines of a Dockerfile of this machine that the daemon did not like, "" when it is another error."""
    from scow.cli.build_check import place

    text = _local_text(flags, given, stdin=False)
    shown = "" if text is None else place(text, os.path.basename(flags.text("file") or "Dockerfile"))
    return f"{shown}\n" if shown else ""


def _local_text(flags: Flags, given: str, stdin: bool = True) -> str | None:
    """The Dockerfile of a directory, or the one on stdin; None when it is inside of an archive or elsewhere."""
    file = flags.text("file")
    if "-" in (given, file):
        return build_source.read_all(0).decode("utf-8", "replace") if stdin and not (given == "-" and file) else None
    if not os.path.isdir(given):
        return None
    extra: dict[str, bytes] = {}
    name = build_source.placed(given, file, extra)
    if name in extra:
        return extra[name].decode("utf-8", "replace")
    with open(os.path.join(given, name), encoding="utf-8", errors="replace") as stream:
        return stream.read(build_source.LONGEST_DOCKERFILE)


class _Heard:
    """An answer of which is noted, while it is shown, what is not for the eyes: ids of images, and what goes by a name."""

    def __init__(self, response: Response | build_outputs.Received) -> None:
        self._response = response
        self.ids: list[str] = []
        self.notes: dict[str, dict[str, Any]] = {}

    def noted(self, name: str) -> dict[str, Any]:
        if name not in self.notes:
            raise Exit(1, f"the answer of the daemon has no {name}")
        return self.notes[name]

    def values(self) -> Iterator[dict[str, object]]:
        for message in self._response.values():
            aux = message.get("aux")
            if isinstance(aux, dict):
                if aux.get("ID"):
                    self.ids.append(str(aux["ID"]))
                else:
                    self.notes.update(aux)
            elif str(message.get("stream", "")).startswith("sha256:"):
                self.ids.append(str(message["stream"]).strip())
            yield message


def _parameters(session: Session, flags: Flags, quiet: bool) -> list[tuple[str, str]]:
    if not flags.on("disable-content-trust"):
        raise Exit(1, f"{session.program}: content trust is not supported")
    params = [("t", name) for name in flags.items("tag")]
    params += [("extrahosts", host) for host in flags.items("add-host")]
    params += [("securityopt", option) for option in flags.items("security-opt")]
    for option, name in _TEXTS.items():
        if flags.text(option) not in ("", "0"):
            params.append((name, flags.text(option)))
    for option, name in _SWITCHES.items():
        if flags.on(option):
            params.append((name, "1"))
    if not flags.on("rm"):
        params.append(("rm", "0"))
    if quiet:
        params.append(("q", "1"))
    for name, value in (
        ("buildargs", _arguments(flags.items("build-arg"))),
        ("labels", dict(label.partition("=")[::2] for label in flags.items("label"))),
        ("cachefrom", build_buildx.lenders(flags.items("cache-from"))),
        ("ulimits", flags.items("ulimit")),
    ):
        if value:
            params.append((name, jsontext.encode(value).decode()))
    return params


_TEXTS = {
    "cgroup-parent": "cgroupparent",
    "cpu-period": "cpuperiod",
    "cpu-quota": "cpuquota",
    "cpu-shares": "cpushares",
    "cpuset-cpus": "cpusetcpus",
    "cpuset-mems": "cpusetmems",
    "isolation": "isolation",
    "memory": "memory",
    "memory-swap": "memswap",
    "network": "networkmode",
    "platform": "platform",
    "shm-size": "shmsize",
    "target": "target",
}
_SWITCHES = {"force-rm": "forcerm", "no-cache": "nocache", "pull": "pull", "squash": "squash"}


def _arguments(words: list[str]) -> dict[str, str | None]:
    """NAME=value; a bare NAME has the environment's value, or none. The time for reproducible images goes along."""
    found: dict[str, str | None] = {}
    for word in words:
        name, equals, value = word.partition("=")
        found[name] = value if equals else environment(name) or None
    if environment(_EPOCH):
        found.setdefault(_EPOCH, environment(_EPOCH))
    return found


def _credentials(session: Session) -> list[tuple[str, str]]:
    """X-Registry-Config: what is known for every registry, for the base images."""
    if session.config is None:
        return []
    found = {}
    for server in session.config.mapping("auths"):
        known = credentials.load(session.config, server)
        if known is not None:
            entry = {"username": known.username, "password": known.password, "serveraddress": server}
            found[server] = (
                {"identitytoken": known.identity_token, "serveraddress": server} if known.identity_token else entry
            )
    if not found:
        return []
    packed = binascii.b2a_base64(jsontext.encode(found), newline=False).decode()
    return [("X-Registry-Config", packed.replace("+", "-").replace("/", "_"))]


_LARGEST = 32 << 10  # they travel in a header, twice in base64


def _secrets(words: list[str]) -> list[tuple[str, str]]:
    """X-Scow-Build-Secrets. Without src and env, a secret is the environment variable or the file of its name."""
    found, size = {}, 0
    for word in words:
        fields = dict(field.partition("=")[::2] for field in word.split(","))
        name = fields.pop("id", "")
        kind = fields.pop("type", "")
        path = fields.pop("src", fields.pop("source", ""))
        variable = fields.pop("env", "")
        if fields or not name or kind not in ("", "file", "env"):
            raise Exit(1, f"invalid secret: {','.join([*fields][:1]) or word.split('=')[0]}")
        if kind == "env":
            variable = variable or path or name
        if variable or not path and environment(name):
            data = environment(variable or name).encode("utf-8", "surrogateescape")
        else:
            try:
                with open(path or name, "rb") as stream:
                    data = stream.read(_LARGEST + 1)
            except OSError as error:
                raise Exit(1, f"could not read the secret {name}: {(error.strerror or '').lower()}") from None
        size += len(data)
        if size > _LARGEST:
            raise Exit(1, f"the secret {name} is too large: all of them have at most {_LARGEST} bytes")
        found[name] = binascii.b2a_base64(data, newline=False).decode()
    if not found:
        return []
    return [("X-Scow-Build-Secrets", binascii.b2a_base64(jsontext.encode(found), newline=False).decode())]


COMMAND = Command(
    _build,
    "[OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    "image build, build, builder build",
    _OPTIONS,
    0,
    1,
)
_ONE = Command(_build, COMMAND.usage, COMMAND.summary, least=1, most=1)  # without --verify, a context must be named
