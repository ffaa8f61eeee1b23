"""Removal, lists, filters, history and prune of images: what dockerd 26.1 answered to the same commands, recorded.

SCOW_TEST_RECORD=unix:///PATH records again, from a dockerd that has none of these images.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.archives import Made, docker_archive, layer
from tests.harness.clients import ROOT, Clients

GOLDEN = Path(__file__).parents[1] / "golden/image_rules.json"
_L = [layer(f"rules{number}", 1000 * (number + 1)) for number in range(5)]
A = Made(_L[:1], ["rules/a:1"], {"Labels": {"k": "v"}}, created="2020-01-02T03:04:05Z")
B = Made(_L[:2], ["rules/b:1", "rules/b:2"], {"Labels": {"k": "w"}}, created="2021-01-02T03:04:05Z", parent=A)
C = Made(_L[:3], ["rules/c:1", "rules/d:1"], {"Labels": {"k2": ""}}, created="2022-01-02T03:04:05Z", parent=B)
D = Made(_L[3:4], [], {"Labels": {"k": "v"}}, created="2023-01-02T03:04:05Z")
E = Made(_L[3:5], ["rules/e:latest"], {"Cmd": ["x"]}, created="2019-01-02T03:04:05Z", empty_steps=2)
P = Made(_L[:1], ["rules/p:1"], {"x": 1}, created="2018-01-02T03:04:05Z")
Q = Made(_L[:2], ["rules/q:1"], {"x": 1}, created="2018-02-02T03:04:05Z", parent=P)
R = Made(_L[:3], ["rules/r:1"], {"x": 1}, created="2018-03-02T03:04:05Z", parent=Q)
IMAGES = {"a": A, "b": B, "c": C, "d": D, "e": E, "p": P, "q": Q, "r": R}

# One command a line; {x} is the short id of an image.
SCRIPT = """
load -q -i {archive}
images rules/*
images --filter reference=rules/* --digests
images --filter reference=rules/* --no-trunc
images --filter reference=rules/* -q
images rules/b
images rules/b:2
images rules/*:1
images --filter reference=rules/[ab]*
images --filter reference=[
images --filter label=k=v --filter reference=rules/*
images --filter label=k --filter reference=rules/*
images --filter before=rules/b:1 --filter reference=rules/*
images --filter since=rules/b:1 --filter reference=rules/*
images --filter until=2021-06-01 --filter reference=rules/*
images --filter until=soon
images --filter dangling=true --filter label=k=v
images --filter dangling=false --filter label=k=v
images --filter dangling=perhaps
images --filter bogus=1
images -a --filter label=k=v
images --filter since={a} --filter before=rules/c:1 --filter label=k
history rules/c:1
history --no-trunc rules/c:1
history -q rules/c:1
history -H=false rules/c:1
history --format {{{{.ID}}}}|{{{{.CreatedBy}}}}|{{{{.Size}}}} rules/c:1
history {d}
history rules/e
rmi rules/b:1
rmi {b}
rmi -f {b}
rmi rules/b:2
images -a --filter label=k
images --filter label=k
rmi rules/a:1
images -a --filter label=k
rmi {c}
rmi -f {c}
images -a --filter label=k
rmi nosuch:x
rmi -f nosuch:x
rmi sha256:0000000000000000000000000000000000000000000000000000000000000000
rmi UP
rmi rules/p:1 rules/q:1
rmi --no-prune rules/r:1
images -a --format {{{{.ID}}}} --filter until=2018-12-31
rmi {q}
images -a --format {{{{.ID}}}} --filter until=2018-12-31
load -q -i {archive}
create --name rulesc rules/e
rmi rules/e
rmi {e}
tag rules/e rules/e:two
rmi rules/e
rmi {e}
rmi -f {e}
images -a --filter until=2019-12-31 --filter since={r}
rm rulesc
load -q -i {archive}
create --name rulesc rules/e
rmi -f rules/e
rm rulesc
image prune -f --filter label=k=v
image prune -a -f --filter label=k=w
image prune -a -f --filter label=k2
image prune -a -f --filter until=2019-06-01 --filter label!=zzz
images -a rules/*
image ls rules/nosuch
rmi rules/a:1 rules/b:1 rules/b:2 rules/c:1 rules/d:1 rules/e rules/p:1 rules/q:1 rules/r:1
images -a rules/*
images -a --filter label=k
"""


def commands(archive: Path) -> list[list[str]]:
    shorts = {name: made.id[7:19] for name, made in IMAGES.items()}
    return [
        [word.format(archive=archive, **shorts) for word in line.split(" ")] for line in SCRIPT.strip().splitlines()
    ]


def plain(text: str) -> list[str]:
    """Output lines without what differs from run to run, in one order: Go prints maps as it likes."""
    for name, made in IMAGES.items():
        text = text.replace(made.id, f"<{name}>").replace(made.id[7:], f"<{name}>").replace(made.id[7:19], f"<{name}>")
    text = re.sub(r"container [0-9a-f]{12}", "container CID", text)
    text = re.sub(r"(?m)^[0-9a-f]{64}$", "CID", text)
    text = re.sub(r"\d+ (years|months) ago", "long ago", text)
    return sorted(re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines())


def play(program: list[str], environment: dict[str, str], archive: Path) -> list[dict[str, object]]:
    told: list[dict[str, object]] = []
    for number, words in enumerate(commands(archive)):
        done = subprocess.run([*program, *words], capture_output=True, text=True, env=environment, timeout=60)
        line = SCRIPT.strip().splitlines()[number]
        told.append({"command": line, "code": done.returncode, "out": plain(done.stdout), "err": plain(done.stderr)})
    return told


def test_docker_s_rules(scratch: Clients, tmp_path: Path) -> None:
    """By scow's CLI alone: that the docker CLI shows the same answers in the same way is tested elsewhere."""
    archive = tmp_path / "rules.tar"
    archive.write_bytes(docker_archive(*IMAGES.values()))
    if host := os.environ.get("SCOW_TEST_RECORD"):
        told = play(["docker", "-H", host], scratch.env, archive)
        GOLDEN.write_text(json.dumps(told, indent=1) + "\n")
        pytest.skip("recorded")
    expected = json.loads(GOLDEN.read_text())
    told = play([str(ROOT / "bin/scow"), "-H", scratch.host], scratch.env, archive)
    assert [each["command"] for each in told] == [each["command"] for each in expected]
    for got, wanted in zip(told, expected, strict=True):
        assert got == wanted
