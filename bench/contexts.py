"""A context of many files of which one has changed: what is sent and hashed."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.engines import Peer, timed

if TYPE_CHECKING:
    from bench.rows import Bench

FILES, SIZE = 10_000, 4096


def one_of_many(bench: "Bench") -> None:
    """10,000 files of 4 KB, one of them changed since the last build; the same without a change."""
    os.environ["DOCKER_BUILDKIT"] = "0"
    files = FILES // 10 if bench.quick else FILES
    changed = bench.row("context", f"build with a context of {files:,} files of 4 KB, one changed", "s", goal="2×")
    same = bench.row("context-same", "the same, none changed", "s", goal="2×")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        root = Path(folder)
        (root / "Dockerfile").write_text("FROM busybox\nCOPY files /files\n")
        for number in range(files):
            path = root / "files" / str(number // 100) / str(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(SIZE))

        def build(peer: Peer, cli: list[str]) -> float:
            (root / "files/0/7").write_bytes(os.urandom(SIZE))
            os.sync()
            return timed([*cli, "build", "-q", "-t", "bench-context", folder])

        def again(peer: Peer, cli: list[str]) -> float:
            return timed([*cli, "build", "-q", "-t", "bench-context", folder])

        bench.interleave(changed, build, n=1 if bench.quick else min(3, bench.n))
        bench.interleave(same, again, n=1 if bench.quick else min(5, bench.n))
    for peer in bench.peers:
        peer.call("rmi", "-f", "bench-context", check=False)
