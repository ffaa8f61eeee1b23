"""What a daemon leaves in the host's packet filter: nothing without containers, and what is left is found by the next one."""

import subprocess
import sys

from scow.linux import nfguard
from tests.harness import wipe
from tests.harness.engine import Engine

SWEEP = r"""
import subprocess
from scow.linux import nfguard, nftables
from scow.network import leftovers
from scow.network.ruleset import table_name

def guard(owner, *bridges):
    return nfguard.GuardTable(leftovers.guard_name(owner), 1, bridges)

def table(owner, *bridges):
    names = ", ".join(f'"{one}"' for one in bridges)
    elements = f"elements = {{ {names} }}" if names else ""
    nftables.load(f"table inet {table_name(owner)} {{ set bridges {{ type ifname; {elements}\n }}\n }}\n")

for name in ("sctlive", "br-live"):
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
for owner, bridges in (
    ("sctgone", ("sctgone", "br-gone")),
    ("sctown", ()),
    ("sctlive", ("sctlive",)),
    ("sctnets", ("sctnets", "br-live")),
    ("none:/empty", ()),
    ("none:/nets", ("br-live",)),
    ("none:/unguarded", ()),
    ("none:/running", ()),
):
    table(owner, *bridges)
    if "unguarded" not in owner:
        held = guard(owner, *bridges)
    if "running" not in owner:
        held.close()
nftables.load("add table inet somebodys\nadd table inet scow_sctbare")
expected = [table_name(owner) + suffix for owner in ("sctgone", "none:/empty") for suffix in ("", "_guard")]
assert not leftovers.alive("sctgone") and leftovers.alive("sctlive") and leftovers.alive("none:/running")
assert sorted(leftovers.sweep("scow_sctown")) == sorted([*expected, "scow_sctbare"]), leftovers.sweep("scow_sctown")
assert not set(expected) & set(nfguard.owners()) and len(nfguard.owners()) == 12
assert leftovers.sweep("scow_sctown") == []
"""


def test_tables_that_nobody_is_behind_are_swept() -> None:
    command = ["unshare", "--net", sys.executable, "-c", SWEEP]
    env = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert (done.stderr, done.returncode) == ("", 0)


def _tables(engine: Engine) -> set[str]:
    return {name for name in nfguard.owners() if name.removesuffix("_guard") == f"scow_{engine.bridge}"}


def test_a_daemon_that_stops_takes_its_rules_along_unless_containers_live(fresh_daemon: Engine) -> None:
    assert _tables(fresh_daemon)
    fresh_daemon.stop()
    assert not _tables(fresh_daemon) and not wipe.foreign_rules(fresh_daemon.bridge)
    fresh_daemon.start()
    before = _tables(fresh_daemon)
    fresh_daemon.launch("alone", Cmd=["sleep", "1000"], HostConfig={"NetworkMode": "none"})
    fresh_daemon.launch("web", Cmd=["sleep", "1000"])
    fresh_daemon.stop()
    assert before and _tables(fresh_daemon) == before
    fresh_daemon.start()
    assert fresh_daemon.scow("rm", "-f", "web").returncode == 0
    fresh_daemon.stop()
    assert not _tables(fresh_daemon) and not wipe.foreign_rules(fresh_daemon.bridge)


def test_what_a_killed_daemon_left_is_gone_when_the_next_one_stops(fresh_daemon: Engine) -> None:
    fresh_daemon.kill9()
    assert _tables(fresh_daemon)
    fresh_daemon.start()
    changes = fresh_daemon.api("GET", "/info").json().get("HostChanges", [])
    fresh_daemon.restart()
    assert fresh_daemon.api("GET", "/info").json().get("HostChanges", []) == changes
    fresh_daemon.stop()
    assert not _tables(fresh_daemon) and not wipe.foreign_rules(fresh_daemon.bridge)


def test_who_answers_names_goes_when_nobody_is_left_to_ask(fresh_daemon: Engine) -> None:
    def helpers() -> list[str]:
        found = subprocess.run(
            ["pgrep", "-af", f"{fresh_daemon.base}.*names.sock"], capture_output=True, text=True
        ).stdout
        return [line for line in found.splitlines() if "pgrep" not in line]

    assert fresh_daemon.scow("network", "create", "n1").returncode == 0
    fresh_daemon.launch("web", Cmd=["sleep", "1000"], HostConfig={"NetworkMode": "n1"})
    fresh_daemon.stop()
    assert len(helpers()) == 1
    fresh_daemon.start()
    assert fresh_daemon.scow("rm", "-f", "web").returncode == 0
    assert fresh_daemon.scow("network", "rm", "n1").returncode == 0
    fresh_daemon.stop()
    assert helpers() == []
