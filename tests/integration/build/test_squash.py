"""squash: one layer in place of many, and the same files."""

import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from tests.harness.clients import Clients
from tests.harness.contexts import build, context
from tests.integration.build.test_outputs import frames

pytestmark = pytest.mark.root

BASE = "FROM busybox\nRUN mkdir -p /home/old /etc/network/x /var/www && touch /home/f /etc/network/f /var/vi\n"
DOCKERFILE = """FROM b/base
RUN mkdir -p /a/b/c /keep/x && echo 1 > /a/b/f && echo 1 > /keep/x/f && echo 1 > /file && ln /file /hard && touch /gone
RUN rm -r /a && mkdir -p /a/b && echo 2 > /a/b/g && rm /gone /var/vi && chmod 4711 /file && rm -r /home
RUN rm /file && mkdir /file && echo 3 > /file/in && rm -r /keep && ln -s a /keep && mkdir /gone && rm -r /etc/network
RUN rm -r /a/b && echo now a file > /a/b && mkdir -p /home/new /etc/network/again && chown 5:6 /home/new && mkfifo /p
COPY d /a/
COPY d/sub /var/www/
"""
SENT = context({"Dockerfile": DOCKERFILE, "d/one": "1", "d/sub/two!": "2"})


def files(engine: Clients, **query: str) -> dict[str, Any]:
    """All files of what is built, with their attributes and contents; times of removals differ."""
    answer = engine.api(
        "POST",
        "/build",
        SENT,
        query={"outputs": json.dumps([{"Type": "tar"}]), **query},
        headers={"Content-Type": "application/x-tar"},
        timeout=60,
    )
    found: dict[str, Any] = {}
    assert b"errorDetail" not in answer.body, answer.body[-500:]
    with tarfile.open(fileobj=io.BytesIO(frames(answer.body)[1][0])) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() or member.islnk() else None
            data = hashlib.sha256(content.read()).hexdigest() if content is not None else ""
            kind = tarfile.REGTYPE if member.islnk() else member.type
            target = member.linkname if member.issym() else ""
            found[member.name] = (kind, member.mode, member.uid, member.gid, target, data)
    return found


def test_the_same_files_in_one_layer(clean: Clients) -> None:
    build(clean, BASE, t="b/base")
    assert files(clean, squash="1") == files(clean)
    plain = build(clean, SENT).image
    said = build(clean, SENT, squash="1", t="b/squashed")
    base = clean.api("GET", "/images/b/base/json").json()
    shown = clean.api("GET", "/images/b/squashed/json").json()
    assert shown["Id"] == said.image and said.text.endswith("Successfully tagged b/squashed:latest\n")
    assert shown["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    history = clean.api("GET", "/images/b/squashed/history").json()
    assert history[0]["Comment"] == f"merge {plain} to {base['Id']}"
    assert [line["Size"] > 0 for line in history[:7]] == [True] + [False] * 6
    assert build(clean, SENT, squash="1").image == said.image
    sent = {"query": {"image": "b/squashed", "squash": "1"}, "headers": {"Content-Type": "application/x-tar"}}
    verified = clean.api("POST", "/scow/build/verify", SENT, **sent)
    assert json.loads(verified.body.splitlines()[-1])["aux"]["Verdict"]["Agrees"]
    clean.api("DELETE", "/images/b/squashed")
    clean.api("DELETE", f"/images/{plain}")
    clean.api("DELETE", "/images/b/base")


def test_nothing_to_squash(clean: Clients) -> None:
    base = clean.api("GET", "/images/busybox/json").json()
    assert build(clean, "FROM busybox\n", squash="1").image == base["Id"]
    labelled = build(clean, "FROM busybox\nLABEL a=b\n", squash="1").image
    shown = clean.api("GET", f"/images/{labelled}/json").json()
    assert shown["RootFS"] == base["RootFS"] and shown["Config"]["Labels"] == {"a": "b"}
    scratch = build(clean, context({"Dockerfile": "FROM scratch\nCOPY a /a\nCOPY a /b\n", "a": "x"}), squash="1").image
    assert len(clean.api("GET", f"/images/{scratch}/json").json()["RootFS"]["Layers"]) == 1
    for image in (labelled, scratch):
        clean.api("DELETE", f"/images/{image}")
