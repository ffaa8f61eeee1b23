"""Four networks, twelve containers, who may reach whom, and the asking of everybody for everybody.

`front` and `back` are dual stack, `plain` has IPv4 only, `vault` is internal. Containers listen at 80 and 81; of those with a
published port 80 can be had by the host's address, 81 by nobody else's network.
"""

import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.harness.clients import Clients

NETWORKS = ("front", "back", "plain", "vault")
MEMBERS: dict[str, tuple[str, ...]] = {
    "f1": ("front",),
    "f2": ("front",),
    "f3": ("front", "back"),
    "b1": ("back",),
    "b2": ("back",),
    "b3": ("back", "plain"),
    "p1": ("plain",),
    "p2": ("plain",),
    "p3": ("plain", "vault"),
    "v1": ("vault",),
    "v2": ("vault",),
    "v3": ("vault", "front"),
}
PUBLISHED = ("f1", "b1", "p1", "f3", "v3")
_SERVE = "mkdir /w; echo -n $0 > /w/index.html; httpd -p 80 -h /w; httpd -p 81 -h /w; exec sleep 3600"
_ASK = """
ask() { r=$(timeout 2 wget -qO- "http://$2/" 2>/dev/null); echo "$1 ${r:-nobody}"; }
"""


@dataclass(frozen=True)
class Question:
    """`asker` ("" for the host, "outside" for a machine beside it) wants `url`; `answer`: who says so, "nobody" for none."""

    asker: str
    url: str
    answer: str


@dataclass
class Topology:
    """host: an address of the host that containers can reach. netns: where the engine runs ("" for the host's); outside: a
    namespace beside it. isolates_ipv6: the engine parts networks from each other in IPv6, too.
    """

    engine: Clients
    host: str
    first_port: int
    netns: str = ""
    outside: str = ""
    isolates_ipv6: bool = True
    number: int = field(default_factory=lambda: secrets.randbelow(60))

    def build(self) -> None:
        for place, name in enumerate(NETWORKS):
            flags = ["--subnet", f"10.250.{4 * self.number + place}.0/24"]
            if name in ("front", "back"):
                flags += ["--ipv6", "--subnet", f"fd00:250:{self.number}:{place}::/64"]
            if name == "vault":
                flags.append("--internal")
            self.engine.scow("network", "create", *flags, name, check=True)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._start, MEMBERS))

    def _start(self, name: str) -> None:
        first, *others = MEMBERS[name]
        ports = (
            ("-p", f"{self.port(name)}:80", "-p", f"127.0.0.1:{self.port(name) + 100}:80") if name in PUBLISHED else ()
        )
        command = ("busybox", "sh", "-c", _SERVE, name)
        networks = [word for network in (first, *others) for word in ("--network", network)]
        self.engine.scow("run", "-d", "--name", name, *networks, *ports, *command, check=True)

    def port(self, name: str) -> int:
        return self.first_port + PUBLISHED.index(name)

    def remove(self) -> None:
        self.engine.scow("rm", "-f", *MEMBERS)
        for name in NETWORKS:
            self.engine.scow("network", "rm", name)

    def questions(self) -> Iterator[Question]:
        """All of them, with what must be answered."""
        for target in MEMBERS:
            networks = self.engine.inspect(target)["NetworkSettings"]["Networks"]
            for asker in (*MEMBERS, "outside"):
                if asker != "outside" or self.outside:
                    yield from self._inside(asker, target, networks)
            if target in PUBLISHED:
                yield from self._published(target)

    def _inside(self, asker: str, target: str, networks: dict[str, Any]) -> Iterator[Question]:
        own = MEMBERS.get(asker, ())
        for network, place in networks.items():
            answer = target if network in own else "nobody"
            for port in (80, 81):
                yield Question(asker, f"{place['IPAddress']}:{port}", answer)
                if place["GlobalIPv6Address"] and (answer == target or self.isolates_ipv6):
                    yield Question(asker, f"[{place['GlobalIPv6Address']}]:{port}", answer)
        if asker != "outside":
            yield Question(asker, target, target if set(own) & set(networks) else "nobody")

    def _published(self, target: str) -> Iterator[Question]:
        port = self.port(target)
        for asker in MEMBERS:
            out = set(MEMBERS[asker]) != {"vault"}
            yield Question(asker, f"{self.host}:{port}", target if out else "nobody")
            yield Question(asker, f"{self.host}:{port + 100}", "nobody")
        for address in ("127.0.0.1", "[::1]", self.host):
            yield Question("", f"{address}:{port}", target)
        yield Question("", f"127.0.0.1:{port + 100}", target)
        yield Question("", f"{self.host}:{port + 100}", "nobody")
        if self.outside:
            yield Question("outside", f"{self.host}:{port}", target)
            yield Question("outside", f"{self.host}:{port + 100}", "nobody")

    # ------------------------------------------------------------ asking

    def check(self) -> int:
        """Ask everything; AssertionError with a list of what is not as it must be. Returns how many questions there were.

        What must be answered may take a moment (a machine under load); what must not be answered may never be.
        """
        questions = list(self.questions())
        open_ones = questions
        for _ in range(4):
            wrong = self._wrong(open_ones)
            leaks = [
                f"{q.asker or 'host'} -> {q.url}: {answer}, not {q.answer}" for q, answer in wrong if answer != "nobody"
            ]
            assert not leaks, "\n".join(leaks)
            open_ones = [question for question, _ in wrong]
            if not open_ones:
                return len(questions)
        missing = "\n".join(f"{q.asker or 'host'} -> {q.url}: nobody, not {q.answer}" for q in open_ones)
        raise AssertionError(missing)

    def _wrong(self, questions: list[Question]) -> list[tuple[Question, str]]:
        by_asker: dict[str, list[Question]] = {}
        for question in questions:
            by_asker.setdefault(question.asker, []).append(question)
        with ThreadPoolExecutor(7) as pool:
            answered = pool.map(lambda item: self._ask(*item), by_asker.items())
            return [(q, answer) for answers in answered for q, answer in answers if answer != q.answer]

    def _ask(self, asker: str, questions: list[Question]) -> list[tuple[Question, str]]:
        script = _ASK + "".join(f"ask {number} '{q.url}' &\n" for number, q in enumerate(questions)) + "wait\n"
        if asker in MEMBERS:
            done = self.engine.scow("exec", asker, "sh", "-c", script, timeout=90)
        else:
            netns = self.outside if asker == "outside" else self.netns
            enter = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
            command = [*enter, "busybox", "sh", "-c", script]
            done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        answers = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        assert len(answers) == len(questions), f"{asker}: {done.stdout[-300:]}{done.stderr[-300:]}"
        return [(q, answers[str(number)]) for number, q in enumerate(questions)]
