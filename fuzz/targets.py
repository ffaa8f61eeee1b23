"""What is fuzzed: for each target some good inputs to start from, and the function that must survive."""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

from scow.build.frontend import lint, parser
from scow.build.frontend.expand import expanded
from scow.build.frontend.ignore import IgnoreRules
from scow.errors import ScowError
from scow.images.archive.limits import Limits
from scow.images.archive.reader import TarReader
from scow.images.registry import challenge
from scow.oci import image, manifest, media
from scow.oci.digest import Digest
from scow.oci.reference import Reference


@dataclass(frozen=True)
class Target:
    """`check` returns or raises ScowError; anything else is a finding."""

    seeds: tuple[bytes, ...]
    check: Callable[[bytes], object]


def _reference(data: bytes) -> None:
    reference = Reference.parse(data.decode("utf-8", "surrogateescape"))
    assert Reference.parse(str(reference)) == reference


def _manifest(data: bytes) -> None:
    for content_type in (media.OCI_MANIFEST, media.OCI_INDEX):
        try:
            manifest.parse(data, content_type)
        except ScowError:
            continue
    image.parse(data)


def _archive(data: bytes) -> None:
    stream = io.BytesIO(data)
    reader = TarReader(lambda: stream.read(700), Limits(entries=1000, bytes=1 << 24))
    for entry in reader:
        assert b".." not in entry.name.split(b"/") and not entry.name.startswith(b"/") and b"\0" not in entry.name
        for _ in reader.content():
            pass


def _challenge(data: bytes) -> None:
    challenge.parse([data.decode("latin-1")])


def _dockerfile(data: bytes) -> None:
    file = parser.parse(data.decode("utf-8", "replace"))
    for warning in lint.check(file, chosen=lint.Options(experimental=frozenset({"all"}))):
        assert warning.rule in lint.RULES and lint.shown(warning, file)
    variables = {"a": "x" * 50, "b": "a/b*c"}
    for stage in file.stages:
        for command in stage.commands:
            expanded(command, variables.get, file.escape)


def _dockerignore(data: bytes) -> None:
    rules = IgnoreRules.parse(data.decode("utf-8", "replace"))
    for path in ("a", "a/b", "a.md", "x" * 200, "/".join("ab" * 50)):
        rules.excluded(path)
        rules.may_hold(path)


def _archives() -> tuple[bytes, ...]:
    found = []
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as writer:
            for name, kind in (("a/b", tarfile.REGTYPE), ("l", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE), ("d", b"5")):
                info = tarfile.TarInfo(name if form == tarfile.USTAR_FORMAT else name + "n" * 120)
                info.type, info.linkname, info.size = kind, "a/b", 700 if kind == tarfile.REGTYPE else 0
                writer.addfile(info, io.BytesIO(b"x" * 700))
        found.append(buffer.getvalue())
    return tuple(found)


_DIGEST = str(Digest.of(b""))
_CONFIG = {"mediaType": media.OCI_CONFIG, "digest": _DIGEST, "size": 2}
_MANIFEST = {"schemaVersion": 2, "config": _CONFIG, "layers": [{**_CONFIG, "mediaType": media.OCI_LAYER}]}
_INDEX = {"schemaVersion": 2, "manifests": [{**_CONFIG, "platform": {"os": "linux", "architecture": "arm"}}]}
_IMAGE = {
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": [_DIGEST]},
    "history": [{}],
    "config": {"Env": ["A=b"]},
}
_DOCKERFILES = (
    b"# syntax=a\n# escape=`\nARG A=1\nFROM --platform=$P a:${A} AS b\nRUN --mount=type=cache,target=/x,mode=0755 c `\n d\n",
    b'FROM a\nENV a=${b:-"$c"} b=${a//b*/\\}} c=${a##*x}\nCMD ["a", "\\u00e9"]\nHEALTHCHECK --interval=1.5h CMD x\n',
    b"FROM a\nCOPY --chown=$a --exclude=*.md <<-'A' <<B x /y\n\tz\n\tA\n$a\nB\nONBUILD RUN <<C\nd\nC\nEXPOSE $b 1-2/udp\n",
)

TARGETS = {
    "reference": Target((b"docker.io/library/nginx:1.2@" + _DIGEST.encode(), b"[::1]:5000/a_b/c__d-e"), _reference),
    "manifest": Target(tuple(json.dumps(each).encode() for each in (_MANIFEST, _INDEX, _IMAGE)), _manifest),
    "archive": Target(_archives(), _archive),
    "dockerfile": Target(_DOCKERFILES, _dockerfile),
    "dockerignore": Target((b"*.md\n!a/**/b\n# c\n[a-c]?\\x\n", b"**\n!a\n!**/b*\n"), _dockerignore),
    "challenge": Target((b'Bearer realm="https://a/b",service="c", Basic realm=x',), _challenge),
}
