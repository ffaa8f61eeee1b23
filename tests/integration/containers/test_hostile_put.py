"""The corpus of hostile archives through PUT /containers/{id}/archive, which is cp."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.clients import Clients
from tests.harness.engine import Engine
from tests.harness.hostile import TOKEN, corpus, outside
from tests.integration.containers.test_archive import content, get, put
from tests.unit.images.craft import archive, directory, file

pytestmark = pytest.mark.root
_MOST = 64 << 10  # KiB that the daemon may grow by


@pytest.fixture
def aim() -> Iterator[Path]:
    with outside() as root:
        yield root


def _peak(engine: Clients) -> int:
    """The most memory that the daemon has ever had, KiB."""
    assert isinstance(engine, Engine)
    status = Path(f"/proc/{engine.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("where", ["a directory of its own", "the root"])
@pytest.mark.parametrize("state", ["created", "running"])
def test_nothing_outside_is_touched(clean: Clients, aim: Path, state: str, where: str) -> None:
    """Each is placed below the directory or refused, beside what the ones before have left; none hangs or needs much."""
    clean.create("c1", Cmd=["sleep", "600"])
    if state == "running":
        clean.start_container("c1")
    before = _peak(clean)
    cases = corpus(os.fsencode(aim))
    for number, case in enumerate(cases):
        path = "/"
        if where != "the root":
            path = f"/hostile/{number}"
            assert put(clean, "c1", "/", archive(directory(path[1:].encode()))).status == 200
        said = put(clean, "c1", path, case.data, noOverwriteDirNonDir=number % 2)
        assert said.status in (200, 400, 403, 404, 500) and TOKEN not in said.body, (case.name, said)
        if said.status == 200 and where == "the root" and not number % 20:
            back = get(clean, "c1", str(aim))
            assert TOKEN not in back.body, case.name
    assert len(cases) >= 300 and _peak(clean) - before < _MOST
    assert put(clean, "c1", "/tmp", archive(file(b"x", b"last"))).status == 200
    assert content(get(clean, "c1", "/tmp/x")) == b"last"
