"""The same inputs make the same image: on two data roots, on machines of other names, at other times."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import load_busybox
from tests.harness.clients import Clients
from tests.harness.contexts import build, context, run
from tests.harness.engine import Engine
from tests.harness.registry import Registry

pytestmark = pytest.mark.root

INNER = context({"t/one!": "1\n", "t/two": "2\n"}, mtime=1_650_000_000, links={"t/link": "one"})
FILES: dict[str, str | bytes] = {"a!": "A\n", "ab": "AB\n", "d/sub/f": "F\n", "d/g!": "G\n", "in.tar": INNER}
DOCKERFILE = """FROM busybox AS tools
RUN mkdir -p /o/p && date +%s > /tmp/$$ && rm /tmp/* && echo made > /o/p/f && ln /o/p/f /o/g && touch -t 202001010000 /o/old
FROM busybox
ARG V=1
ENV B=2 A=1 V=$V
LABEL z=1 a=2
WORKDIR /work/er
COPY . ./all/
COPY --chown=3:4 d /x/
ADD in.tar /y/
COPY --from=tools /o /z
COPY <<END /text
hello $V
END
RUN hostname > /host && env | sort > /env && cp -r /x /copied && rm /text /work/er/all/a && mkfifo /p && chmod 1777 /etc
EXPOSE 443 80
VOLUME /v
RUN --network=none printf '\\125\\r\\r\\n\\0\\0\\0\\0\\377\\377\\377\\177\\0\\0\\0\\0code' > /m.pyc
CMD ["sh"]
"""


@pytest.fixture(scope="module")
def two(registry: Registry) -> Iterator[tuple[Engine, Engine]]:
    engines = Engine(), Engine(hostname="elsewhere")
    try:
        for engine in engines:
            load_busybox(engine.start(), registry)
        yield engines
    finally:
        for engine in engines:
            engine.close()


def sent(mtime: int, *, backwards: bool = False) -> bytes:
    """The context with its files in one order or the other."""
    files = {**FILES, "Dockerfile": DOCKERFILE}
    return context(dict(sorted(files.items(), reverse=backwards)), mtime=mtime)


def digests(engine: Clients, image: str) -> dict[str, Any]:
    """What names an image and its parts: the id, the manifest's digest, those of the layers, plain and compressed."""
    with tarfile.open(fileobj=io.BytesIO(engine.api("GET", f"/images/{image}/get").body)) as archive:

        def document(name: str) -> Any:
            file = archive.extractfile(name)
            assert file is not None
            return json.load(file)

        manifest = document("index.json")["manifests"][0]["digest"]
        layers = [layer["digest"] for layer in document(f"blobs/sha256/{manifest[7:]}")["layers"]]
        config = document(f"blobs/sha256/{image[7:]}")
    return {"id": image, "manifest": manifest, "layers": layers, "config": config}


def later() -> None:
    """Into the next second."""
    time.sleep(1.05 - time.time() % 1)


def test_two_data_roots_without_a_time(two: tuple[Engine, Engine]) -> None:
    one, other = two
    first = digests(one, build(one, sent(1_720_000_000), nocache="1").image)
    later()
    second = digests(other, build(other, sent(1_720_000_000, backwards=True), nocache="1").image)
    assert first == second
    assert first["config"]["created"] == "2024-07-03T09:46:40Z"  # of the newest thing that has gone in
    paths = "/host /env /copied/g /x/g /m.pyc /y/t/one /z/old"
    seen = run(one, first["id"], f"stat -c %Y {paths}; od -An -tx1 -j8 -N4 /m.pyc")
    stamp = [f"{byte:02x}" for byte in (1_720_000_000).to_bytes(4, "little")]
    assert seen.split() == [*["1720000000"] * 5, "1650000000", "1577836800", *stamp]


def test_two_checkouts_with_a_time(two: tuple[Engine, Engine]) -> None:
    one, other = two
    stamp = {"SOURCE_DATE_EPOCH": "1600000000"}
    first = digests(one, build(one, sent(1_720_000_000), nocache="1", buildargs=stamp).image)
    later()
    second = digests(other, build(other, sent(int(time.time())), nocache="1", buildargs=stamp).image)
    assert first == second
    config = first["config"]
    base = one.api("GET", "/images/busybox/history").json()
    mine = config["history"][len(base) :]
    assert {config["created"], *(line["created"] for line in mine)} == {"2020-09-13T12:26:40Z"}
    paths = "/host /env /copied/g /x/g /m.pyc /y/t/one /z/g /work /work/er/all/ab"
    assert run(one, first["id"], f"stat -c %Y {paths}").split() == ["1600000000"] * 9


def test_the_compressed_bytes_do_not_depend_on_how_files_lie(two: tuple[Engine, Engine]) -> None:
    """A file with holes is read in other pieces than one without."""
    one, other = two
    whole = "FROM busybox\nRUN dd if=/dev/zero of=/f bs=1M count=5 2>/dev/null && echo end >> /f\n"
    holes = "FROM busybox\nRUN dd if=/dev/zero of=/f bs=1 count=0 seek=5M 2>/dev/null && echo end >> /f\n"
    first = digests(one, build(one, whole, nocache="1").image)
    assert first["layers"] == digests(other, build(other, holes, nocache="1").image)["layers"]


def test_a_touched_context_is_in_the_cache(clean: Clients) -> None:
    first = build(clean, sent(1_720_000_000))
    assert build(clean, sent(1_710_000_000, backwards=True)).image == first.image


def test_borrowed_steps_are_not_remembered(clean: Clients) -> None:
    """What one build has from --cache-from is no other build's."""
    dockerfile = "FROM busybox\nRUN date +%N > /when\n"
    first = build(clean, dockerfile, t="b/lends")
    clean.api("POST", "/build/prune", query={"all": "1"})
    assert build(clean, dockerfile, cachefrom=["b/lends"]).image == first.image
    assert build(clean, dockerfile).cached == 0
