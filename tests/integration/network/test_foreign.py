"""Beside iptables' FORWARD chain with policy drop, in a network namespace of the test's own."""

import subprocess
import sys

import pytest

PROGRAM = """
import subprocess
from scow.linux import nftables
from scow.network import foreign

nftables.load("add table ip filter")
nftables.load("add chain ip filter FORWARD { type filter hook forward priority 0; policy %s; }")
if %r:
    nftables.load("add chain ip filter DOCKER-USER")
    nftables.load("add rule ip filter DOCKER-USER return")
for name in ("sctx0", "scty0"):
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
print(foreign.let_by("sctx0"), foreign.let_by("sctx0"), foreign.let_by("scty0"))
print(len([one for one in nftables.listing(["table", "ip", "filter"]) if "rule" in one]))
subprocess.run(["ip", "link", "del", "scty0"], check=True)
foreign.let_by("sctx0")
foreign.undo("sctx0")
print([one["rule"].get("comment") for one in nftables.listing(["table", "ip", "filter"]) if "rule" in one])
"""


@pytest.mark.parametrize(
    ("policy", "docker", "expected"),
    [
        ("drop", False, "['ip filter FORWARD'] [] ['ip filter FORWARD']\n2\n[]\n"),
        ("drop", True, "['ip filter DOCKER-USER'] [] ['ip filter DOCKER-USER']\n3\n[None]\n"),
        ("accept", True, "[] [] []\n1\n[None]\n"),
    ],
)
def test_accepting_rules_are_made_once_and_removed(policy: str, docker: bool, expected: str) -> None:
    program = PROGRAM % (policy, docker)
    command = ["unshare", "--net", sys.executable, "-c", program]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert (done.stderr, done.stdout) == ("", expected)
