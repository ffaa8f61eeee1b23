"""The same Dockerfiles built by Docker's classic builder and by scow: the same files, the same configuration and history, but
for times and ids. A scratch dockerd of Debian's docker.io, where there is one; SCOW_TEST_PEER=unix:///PATH takes another one.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.engines import Docker
from tests.conftest import load_busybox
from tests.harness.clients import Clients
from tests.harness.contexts import build, context
from tests.harness.engine import Engine
from tests.harness.registry import Registry

INNER = context({"t/one!": "1\n", "t/two": "2\n"}, links={"t/link": "one"})
FILES = {"a!": "A\n", "ab": "AB\n", "d/sub/f": "F\n", "d/g!": "G\n", "e/": "", "in.tar": INNER, "sp ace": "S\n"}
LINKS = {"lnk": "a", "d/up": "../../etc/passwd", "dl": "d"}
BUSY = "FROM busybox\n"
DOCKERFILES = {
    "run": BUSY + "RUN echo 1 > /f && chmod 4711 /f && chown 3:4 /f\nRUN rm /f && mkdir -p /g/h && ln -s h /g/l\n",
    "removal": BUSY + "RUN mkdir /x && touch /x/1 /x/2\nRUN rm -r /x && mkdir /x && touch /x/3\nRUN rm /bin/vi\n",
    "nothing": BUSY + "RUN true\n",
    "copy-one": BUSY + "COPY a /b\nCOPY a /c/\nCOPY a /d/e/f\nCOPY ab ./\n",
    "copy-tree": BUSY + "COPY d /x\nCOPY d/ /y/\nCOPY d e /z/\nCOPY . /all/\n",
    "copy-links": BUSY + "COPY lnk /x\nCOPY dl /y\nCOPY lnk /z/\nCOPY dl/sub /w\n",
    "copy-patterns": BUSY + "COPY a* /x/\nCOPY d/s* d/[a-g] /y/\nCOPY [de] /z/\n",
    "copy-space": BUSY + 'COPY ["sp ace", "/with space/"]\n',
    "copy-over": BUSY + "RUN mkdir -p /l/real /l/a && ln -s real /l/to && ln -s /etc /l/sub\n"
    "COPY d /l/to\nCOPY d /l\nCOPY a ab /l/\n",
    "copy-owner": BUSY + "COPY --chown=5:6 d /x\nCOPY --chown=7 a /y/yy/z\nCOPY --chown=0:root ab /m\nCOPY --chown=root d /etc\n",
    "copy-workdir": BUSY + "WORKDIR /w/x\nCOPY a b\nCOPY d .\nWORKDIR ../y\nCOPY a ./\nRUN pwd > where\n",
    "copy-from": "FROM busybox AS s\nRUN mkdir /o && echo 1 > /o/f && chown -R 7:8 /o && chmod 4711 /o/f && ln /o/f /o/g\n"
    + BUSY
    + "COPY --from=s /o /p\nCOPY --from=0 /o/f /q/\nCOPY --from=s --chown=1 /o /r\n",
    "add": BUSY + "ADD a /x\nADD d /y/\nADD in.tar /z\nADD in.tar ab /w/\nCOPY in.tar /kept\n",
    "env": BUSY + 'ENV A=1 B="two words" C=$A\nENV D three four\nENV PATH=/x:$PATH\nRUN env | grep -v HOSTNAME | sort > /env\n',
    "args": "ARG TAG=latest\nFROM busybox:$TAG\nARG X=1\nARG Y\nENV E=$X-${Y:-none}\nRUN echo $X $Y $E > /f\n",
    "label": BUSY + 'LABEL a=1 b="two words"\nLABEL c three\nLABEL a=other\n',
    "commands": BUSY + 'SHELL ["/bin/ash", "-c"]\nRUN echo $0 > /f\nCMD echo shell $HOME\nENTRYPOINT ["a", "b\\"c"]\n',
    "entrypoint": BUSY + 'CMD ["x"]\nENTRYPOINT echo shell\n',
    "expose": BUSY + "EXPOSE 80 443/tcp 53/udp\nEXPOSE 8000-8002\nARG P=9\nEXPOSE $P\n",
    "volume": BUSY + 'RUN mkdir /v && echo 1 > /v/f\nVOLUME /v /w\nVOLUME ["/x"]\n',
    "user": BUSY + "USER 1000:1000\nRUN id -u > /tmp/id\nWORKDIR /made\nUSER root\nMAINTAINER me <me@here>\n",
    "health": BUSY + "HEALTHCHECK --interval=5m --timeout=3s --retries=2 CMD true && false\nSTOPSIGNAL SIGINT\n",
    "health-none": BUSY + 'HEALTHCHECK CMD ["x", "y"]\nHEALTHCHECK NONE\n',
    "onbuild": BUSY + "ONBUILD RUN echo triggered > /t\nONBUILD COPY a /u\n",
    "scratch": "FROM scratch\nCOPY d /d\nADD in.tar /\nENV A=b\nCMD [\"/d/g\"]\n",
    "stages": "FROM busybox AS one\nRUN echo 1 > /1\nFROM one AS two\nRUN echo 2 > /2\nFROM two\nCOPY --from=one /1 /3\n",
    "continued": BUSY + "# comment\nRUN echo a \\\n# in between\n  && echo b > /f\nRUN [\"sh\", \"-c\", \"echo $HOME > /h\"]\n",
    "capabilities": BUSY + "RUN touch /f && mknod /null c 1 3 && mkfifo /p && chmod 1777 /etc\nCOPY a /etc/\n",
}  # fmt: skip
LIST = (
    "cd /; find . -xdev ! -path './proc*' ! -path './sys*' ! -path './dev*' ! -name .dockerenv ! -path './etc/resolv.conf' "
    "! -path './etc/host*' ! -path ./etc/mtab | sort > /tmp/.list; "
    'while read -r f; do stat -c \'%N %F %a %u:%g %h\' "$f"; [ -f "$f" ] && [ ! -L "$f" ] && echo "$f $(sha256sum < "$f")"; '
    "done < /tmp/.list; true"
)
# the order of map keys in Go's output, and what an engine says of itself
_DIGEST = re.compile(r" ?(file|dir|multi):[0-9a-f]{64}")  # 20.10 forgets the space behind --chown
_START_INTERVAL = re.compile(r'((?: "[0-9a-z]+"){3}) "0s"(?= \')')  # of a health check: unknown to 20.10


@pytest.fixture(scope="module")
def docker(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    home: Path = tmp_path_factory.mktemp("home")
    if other := os.environ.get("SCOW_TEST_PEER"):
        yield Clients(other, {}, home)
        return
    if not (shutil.which("dockerd") and shutil.which("docker")):
        pytest.skip("no Docker engine on this machine")
    engine = Docker()
    try:
        engine.start()
        clients = Clients(f"unix://{engine.socket}", {}, home, newest="v1.41")  # Docker 20.10
        load_busybox(clients, registry)
        yield clients
    finally:
        engine.stop()


def config_of(engine: Clients, image: str) -> dict[str, Any]:
    found = engine.api("GET", f"/images/{image}/json").json()
    config = {key: value for key, value in found["Config"].items() if key not in ("Image", "Hostname") and value}
    return {"Config": config, "Author": found["Author"], "Os": found["Os"], "Architecture": found["Architecture"]}


def history_of(engine: Clients, image: str) -> list[str]:
    """What came on top of the base, which each engine has from elsewhere."""
    lines = engine.api("GET", f"/images/{image}/history").json()
    base = len(engine.api("GET", "/images/busybox/history").json())
    texts = [_DIGEST.sub(r" \1", line["CreatedBy"]) for line in lines]
    return [_START_INTERVAL.sub(r"\1", text) for text in texts][: len(lines) - base]


def listed(engine: Clients, image: str) -> set[str]:
    """Every file with kind, mode, owner, number of names and content."""
    done = engine.docker(
        "run", "--rm", "--network", "none", "-u", "0", "--entrypoint", "/bin/sh", image, "-c", LIST, check=True
    )
    return {
        line
        for line in done.stdout.splitlines()
        if "/tmp/.list" not in line and not line.startswith(("./tmp ", "'./tmp'"))
    }


def files_of(engine: Clients, image: str, box: bool, bases: dict[Clients, set[str]]) -> list[str]:
    """What differs from the base (each engine may have its own), before and after. `box`: the image has no shell."""
    if engine not in bases:
        bases[engine] = listed(engine, "busybox")
    if box:
        image = build(engine, f"FROM {image}\nCOPY --from=busybox /bin/ /bin/\n", rm="1").image
        return sorted(line for line in listed(engine, image) if "./bin" not in line)
    return sorted(listed(engine, image) ^ bases[engine])


@pytest.fixture(scope="module")
def bases() -> dict[Clients, set[str]]:
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCKERFILES)
def test_equal_but_for_times_and_ids(
    scratch: Engine, docker: Clients, bases: dict[Clients, set[str]], name: str
) -> None:
    archive = context({"Dockerfile": DOCKERFILES[name], **FILES}, links=LINKS, mtime=1_600_000_000)
    seen = []
    for engine in (scratch, docker):
        said = build(engine, archive, rm="1", forcerm="1", t=f"peers/{name}")
        seen.append(
            (
                config_of(engine, said.image),
                history_of(engine, said.image),
                files_of(engine, said.image, name == "scratch", bases),
            )
        )
        engine.api("DELETE", f"/images/peers/{name}", query={"force": "1"})
    ours, theirs = seen
    assert json.dumps(ours[0], sort_keys=True) == json.dumps(theirs[0], sort_keys=True)
    assert ours[1] == theirs[1]
    assert ours[2] == theirs[2], sorted(set(ours[2]) ^ set(theirs[2]))
