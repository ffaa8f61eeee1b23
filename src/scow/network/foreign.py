"""Living beside other firewalls: iptables' FORWARD chain with policy drop (Docker and ufw set it) must let our bridge by, and
so must firewalld, which rejects what comes from interfaces that its zones do not know.

A packet that our own table accepts is still dropped by such a chain. The accepting rule goes where Docker keeps its user's
rules (DOCKER-USER) or to the top of FORWARD, carries a comment, and decides nothing: it lets by what our table has marked,
whatever networks there are.
"""

import contextlib
import logging
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scow.errors import Unavailable
from scow.linux import nfguard, nftables
from scow.network import leftovers
from scow.network.ruleset import MARK

_log = logging.getLogger("scow.network")
_MARK = "scow "
FIREWALLD = "firewalld"
_FIREWALLD_CHAIN = "filter_FORWARD"
_LEGACY_TABLES = "/proc/net/ip_tables_names"


@dataclass(frozen=True, slots=True)
class Chain:
    """An iptables chain of table filter that our traffic has to pass; handles of rules of ours that are there already."""

    name: str
    handles: tuple[int, ...] = ()


def comment(owner: str) -> str:
    """Of the daemon with this default bridge."""
    return _MARK + owner


def blocking_chain(objects: Sequence[dict[str, Any]], rules: Sequence[dict[str, Any]], bridge: str) -> Chain | None:
    """Where accepting rules belong, from nft's listings of chains and of table `ip filter`; None when nothing drops."""
    chains = [entry["chain"] for entry in objects if "chain" in entry]
    filter_chains = [one for one in chains if one.get("family") == "ip" and one.get("table") == "filter"]
    drops = any(one.get("hook") == "forward" and one.get("policy") == "drop" for one in filter_chains)
    names = {one.get("name") for one in filter_chains}
    if not drops:
        return None
    name = "DOCKER-USER" if "DOCKER-USER" in names else "FORWARD"
    ours = [
        entry["rule"]["handle"]
        for entry in rules
        if "rule" in entry and entry["rule"].get("comment") == comment(bridge) and entry["rule"].get("chain") == name
    ]
    return Chain(name, tuple(ours))


def abandoned(rules: Sequence[dict[str, Any]], alive: Callable[[str], bool]) -> list[tuple[str, int]]:
    """(chain, handle) of accepting rules whose daemon was taken away without a word."""
    marked = [entry["rule"] for entry in rules if entry.get("rule", {}).get("comment", "").startswith(_MARK)]
    return [(rule["chain"], rule["handle"]) for rule in marked if not alive(rule["comment"].removeprefix(_MARK))]


def accepting_rule(bridge: str, chain: str) -> str:
    """An nft script that lets marked packets by, at the top of the chain ("ip filter FORWARD"). iptables shows it as
    `-m mark`.
    """
    return f'insert rule {chain} meta mark & {MARK:#x} == {MARK:#x} counter accept comment "{comment(bridge)}"\n'


def let_by(bridge: str) -> list[str]:
    """Make sure that no foreign forward chain drops our traffic. Returns the chains that were changed now. Blocks."""
    changed = []
    try:
        objects, rules = nftables.listing(["chains", "ip"]), nftables.listing(["table", "ip", "filter"])
        stale = abandoned(rules, leftovers.alive)
        if stale:
            with contextlib.suppress(nftables.RulesetError):  # another daemon was faster
                nftables.load("".join(f"delete rule ip filter {name} handle {handle}\n" for name, handle in stale))
        chain = blocking_chain(objects, rules, bridge)
        if chain is not None and len(chain.handles) != 1:
            removal = "".join(f"delete rule ip filter {chain.name} handle {handle}\n" for handle in chain.handles)
            nftables.load(removal + accepting_rule(bridge, f"ip filter {chain.name}"))
            changed.append(f"ip filter {chain.name}")
        if _firewalld_lets_by(bridge):
            changed.append(f"inet {FIREWALLD} {_FIREWALLD_CHAIN}")
    except nftables.RulesetError as error:
        raise Unavailable(f"cannot let bridge {bridge} by another firewall: {error}") from error
    if _legacy_let_by(bridge):
        changed.append("ip_tables filter FORWARD")
    return changed


def _firewalld_rules(bridge: str) -> tuple[bool, list[int], list[int]]:
    """(whether there is its chain, handles of our rules in it, and of those that daemons left which are gone)."""
    listed = nftables.listing(["chain", "inet", FIREWALLD, _FIREWALLD_CHAIN])
    own = [entry["rule"]["handle"] for entry in listed if entry.get("rule", {}).get("comment") == comment(bridge)]
    return bool(listed), own, [handle for _, handle in abandoned(listed, leftovers.alive)]


def _firewalld_lets_by(bridge: str) -> bool:
    """True when a rule was made now."""
    owner = nfguard.owners().get(FIREWALLD)
    if owner is None:
        return False
    if owner:
        _log.warning(
            "firewalld keeps its table to itself: `firewall-cmd --zone=trusted --add-interface=%s` lets containers out",
            bridge,
        )
        return False
    there, own, stale = _firewalld_rules(bridge)
    if not there or (len(own) == 1 and not stale):
        return False
    chain = f"inet {FIREWALLD} {_FIREWALLD_CHAIN}"
    removal = "".join(f"delete rule {chain} handle {handle}\n" for handle in own + stale)
    nftables.load(removal + accepting_rule(bridge, chain))
    return True


def _legacy_program() -> str | None:
    """iptables-legacy, where its tables are in use: to run it elsewhere would load them."""
    try:
        with open(_LEGACY_TABLES, encoding="ascii") as file:
            used = "filter" in file.read().split()
    except OSError:
        used = False
    return shutil.which("iptables-legacy") if used else None


def _legacy_rule(chain: str, bridge: str) -> tuple[str, ...]:
    mark = f"{MARK:#x}/{MARK:#x}"
    return (chain, "-m", "mark", "--mark", mark, "-m", "comment", "--comment", comment(bridge), "-j", "ACCEPT")


def _legacy_let_by(bridge: str) -> bool:
    """The same for the old iptables tables of the kernel, where nft cannot look."""
    program = _legacy_program()
    if program is None:
        return False
    listing = _legacy(program, "-S", "FORWARD")
    if "-P FORWARD DROP" not in listing:
        return False
    chain = "DOCKER-USER" if "-A FORWARD -j DOCKER-USER" in listing else "FORWARD"
    rule = _legacy_rule(chain, bridge)
    if subprocess.run([program, "-w", "-C", *rule], capture_output=True, check=False).returncode == 0:
        return False
    _legacy(program, "-I", *rule)
    return True


def _legacy(program: str, *arguments: str) -> str:
    done = subprocess.run([program, "-w", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def undo(bridge: str) -> None:
    """Remove our accepting rules wherever they are. Blocks."""
    rules = [entry["rule"] for entry in nftables.listing(["table", "ip", "filter"]) if "rule" in entry]
    script = "".join(
        f"delete rule ip filter {rule['chain']} handle {rule['handle']}\n"
        for rule in rules
        if rule.get("comment") == comment(bridge)
    )
    if script:
        nftables.load(script)
    if nfguard.owners().get(FIREWALLD) == 0:
        chain = f"inet {FIREWALLD} {_FIREWALLD_CHAIN}"
        nftables.load("".join(f"delete rule {chain} handle {handle}\n" for handle in _firewalld_rules(bridge)[1]))
    program = _legacy_program()
    if program is None:
        return
    for chain in ("DOCKER-USER", "FORWARD"):
        command = [program, "-w", "-D", *_legacy_rule(chain, bridge)]
        subprocess.run(command, capture_output=True, check=False)
