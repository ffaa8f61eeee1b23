"""Build contexts made in memory, and the dialogue of a build taken apart."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any

from tests.harness.clients import Clients


def context(files: dict[str, str | bytes], *, mtime: int = 0, links: dict[str, str] | None = None) -> bytes:
    """A tar archive of files by name; a name that ends with ! is executable, one that ends with / a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("!/"))
            member.mtime = mtime
            if name.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
                continue
            data = content.encode() if isinstance(content, str) else content
            member.size, member.mode = len(data), 0o755 if name.endswith("!") else 0o644
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return out.getvalue()


@dataclass(frozen=True)
class Dialogue:
    """What a build has said: the status, the text, the error ("" for none) and its code, the ids."""

    status: int
    text: str = ""
    error: str = ""
    code: int | None = None
    ids: list[str] = field(default_factory=list)

    @property
    def cached(self) -> int:
        return self.text.count(" ---> Using cache\n")

    @property
    def image(self) -> str:
        assert not self.error, f"{self.text}\n{self.error}"
        return self.ids[-1]


def build(
    engine: Clients, archive: bytes | str, *, headers: dict[str, str] | None = None, timeout: float = 60, **query: Any
) -> Dialogue:
    """POST /build. `archive` as text is the only file, the Dockerfile. Values that are no texts are sent as JSON."""
    sent = context({"Dockerfile": archive}) if isinstance(archive, str) else archive
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    answer = engine.api(
        "POST",
        "/build",
        sent,
        query=texts,
        headers={"Content-Type": "application/x-tar", **(headers or {})},
        timeout=timeout,
    )
    if answer.status != 200:
        return Dialogue(answer.status, error=answer.message)
    text, error, code, ids = "", "", None, []
    for line in answer.body.splitlines():
        message = json.loads(line)
        text += message.get("stream", "")
        if "aux" in message:
            ids.append(message["aux"]["ID"])
        if "errorDetail" in message:
            error, code = message["error"], message["errorDetail"].get("code")
    return Dialogue(200, text, error, code, ids)


def run(engine: Clients, image: str, command: str) -> str:
    """What a shell prints in a container of the image."""
    arguments = ("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", command)
    return engine.scow(*arguments, check=True).stdout
