"""The helper in real namespaces: who is answered what, and that it goes on when others do not."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scow.network.dns import message
from scow.network.dns.message import AAAA, PTR, Message
from scow.network.dns.service import Names
from scow.network.names import NameClient, NameRecord
from tests.integration.network import lab
from tests.integration.network.lab import Room, Upstream, address_answer, rooms

pytestmark = pytest.mark.root

A_ID, B_ID, C_ID = "a" * 64, "b" * 64, "c" * 64
WEB = NameRecord("web", "a" * 12, "hosta", ("www", "both"), "10.1.0.2", "fd00:1::2")
DB = NameRecord("db", "b" * 12, "", ("both",), "10.1.0.3")
ELSEWHERE = NameRecord("elsewhere", "c" * 12, "", ("both",), "10.2.0.2")
TABLES = {"n1": {A_ID: WEB, B_ID: DB}, "n2": {C_ID: ELSEWHERE}}


def client(container_id: str, network: str = "n1", **more: object) -> NameClient:
    return NameClient(container_id, (network,), (f"name-{network}",), **more)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def serving(*clients: tuple[NameClient, Room]) -> AsyncIterator[Names]:
    with tempfile.TemporaryDirectory() as directory:
        names = Names(directory)
        try:
            await names.start(TABLES, {one.container_id: (one, room.netns) for one, room in clients})
            yield names
        finally:
            await names.stop()


def run(work: Callable[[], object]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))  # type: ignore[arg-type]


def pid_of(names: Names) -> int:
    assert names._process is not None
    return names._process.pid


def test_every_name_on_the_own_network_and_none_of_another() -> None:
    async def work() -> None:
        with rooms(2) as (a, c):
            async with serving((client(A_ID, forward=False), a), (client(C_ID, "n2", forward=False), c)):
                assert a.addresses("web") == a.addresses("WWW") == a.addresses("hosta.name-n1") == ["10.1.0.2"]
                assert a.addresses("a" * 12) == ["10.1.0.2"]
                assert a.addresses("web", AAAA) == ["fd00:1::2"]
                assert a.addresses("db", AAAA) == []
                assert a.addresses("both") == ["10.1.0.2", "10.1.0.3"]
                assert c.addresses("both") == ["10.2.0.2"]
                assert a.addresses("elsewhere") == ["SERVFAIL"] == c.addresses("web")
                reverse = a.ask("3.0.1.10.in-addr.arpa", PTR).answers
                assert b"\2db\7name-n1\0" == reverse[0].data
                assert a.ask("both", protocol="tcp").answers != a.ask("both", protocol="tcp").answers  # in turn
                assert a.ask("web", edns=4096).edns is not None

    run(work)


def test_answers_follow_changes_at_once() -> None:
    async def work() -> None:
        with rooms(1) as (a,):
            async with serving((client(A_ID, forward=False), a)) as names:
                await names.publish("n1", {A_ID: NameRecord("renamed", "a" * 12, "", (), "10.1.0.99")})
                assert a.addresses("renamed") == ["10.1.0.99"]
                assert a.addresses("web") == ["SERVFAIL"]
                await names.withdraw("n1", [B_ID])
                assert a.addresses("db") == ["SERVFAIL"]
                both = NameClient(A_ID, ("n1", "n2"), ("x", "y"), forward=False)
                await names.serve(both, a.netns)  # connected to another network
                assert a.addresses("elsewhere") == a.addresses("elsewhere.y") == ["10.2.0.2"]
                await names.leave(A_ID)
                assert a.send(message.encode(Message(1, 0, (lab.question("web"),))), wait=0.3) == b""

    run(work)


def test_a_container_may_serve_dns_at_every_address_itself() -> None:
    """So it is with Docker: the resolver takes no port that a container could want."""
    server = textwrap.dedent("""
        import socket, sys
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("0.0.0.0", 53))
        tcp = socket.socket(); tcp.bind(("0.0.0.0", 53)); tcp.listen()
        ask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); ask.settimeout(3)
        ask.sendto(b"to the container's own", ("127.0.0.1", 53))
        print(udp.recvfrom(100)[0].decode(), end="")
    """)

    async def work() -> None:
        with rooms(1) as (a,):
            async with serving((client(A_ID, forward=False), a)):
                done = a.run(sys.executable, "-I", "-c", server)
                assert done.stdout == b"to the container's own", done.stderr
                assert a.addresses("web") == ["10.1.0.2"]

    run(work)


def test_other_names_are_asked_from_the_container_by_udp_and_tcp() -> None:
    async def work() -> None:
        with rooms(1) as (a,), Upstream(a.outside, lambda query, _: address_answer(query)) as upstream:
            async with serving((client(A_ID, resolvers=(a.outside,)), a)):
                assert a.addresses("www.example") == ["192.0.2.7"]
                assert a.ask("www.example", protocol="tcp").answers[0].data == bytes((192, 0, 2, 7))
                for _ in range(6):
                    a.ask("www.example")
            inside = f"10.244.{a.number}.2"
            assert {peer[0] for _, _, _, peer in upstream.queries} == {inside}
            assert [protocol for protocol, *_ in upstream.queries[:2]] == ["udp", "tcp"]
            assert len({number for _, _, number, _ in upstream.queries}) >= 7  # CVE-2008-1447: ids and ports are drawn
            assert len({peer[1] for _, _, _, peer in upstream.queries}) >= 7

    run(work)


def test_long_answers_are_cut_for_udp_and_whole_by_tcp() -> None:
    async def work() -> None:
        with rooms(1) as (a,), Upstream(a.outside, lambda query, _: address_answer(query, count=100)):
            async with serving((client(A_ID, resolvers=(a.outside,)), a)):
                short = a.ask("long.example")
                assert short.truncated and not short.answers
                assert len(a.ask("long.example", edns=4096).answers) == 100
                assert len(a.ask("long.example", protocol="tcp").answers) == 100

    run(work)


def test_a_resolver_that_is_silent_or_refuses_is_followed_by_the_next() -> None:
    async def work() -> None:
        with rooms(2) as (a, b), Upstream(a.outside, lambda query, _: address_answer(query)):
            async with serving((client(A_ID, resolvers=(b.outside, a.outside)), a)) as names:
                assert a.addresses("x.example") == ["192.0.2.7"]  # refused: nothing listens there
                await names.serve(client(B_ID, resolvers=(b.outside, a.outside)), b.netns)
                with Upstream(b.outside, lambda query, _: None) as silent:
                    assert b.addresses("y.example") == ["192.0.2.7"]
                    assert b.addresses("z.example") == ["192.0.2.7"]
                    assert [name for _, name, _, _ in silent.queries] == ["y.example"]  # then it is asked last

    run(work)


def test_cve_2024_29018_nothing_of_an_internal_network_is_asked_outside() -> None:
    async def work() -> None:
        with rooms(1) as (a,), Upstream(a.outside, lambda query, _: address_answer(query)) as upstream:
            async with serving((client(A_ID, resolvers=(a.outside,), forward=False), a)):
                for name in ("secret.example", "nosuch", "1.2.0.192.in-addr.arpa"):
                    for kind in (message.A, message.TXT, message.PTR, message.ANY):
                        assert a.ask(name, kind).rcode == message.SERVER_FAILURE
                        assert a.ask(name, kind, protocol="tcp").rcode == message.SERVER_FAILURE
            assert upstream.queries == []

    run(work)


def test_cve_2025_8283_own_names_are_never_asked_outside() -> None:
    async def work() -> None:
        with rooms(1) as (a,), Upstream(a.outside, lambda query, _: address_answer(query)) as upstream:
            async with serving((client(A_ID, resolvers=(a.outside,)), a)):
                for kind in (message.A, AAAA, message.TXT, message.MX, message.ANY, message.SOA, 65):
                    assert a.ask("web", kind).rcode == 0
                    assert a.ask("db.name-n1", kind).rcode == 0
            assert upstream.queries == []

    run(work)


def test_a_hostile_resolver() -> None:
    """Forged, broken and endless answers: the client gets the right one, or a failure; the helper lives."""

    def behave(query: Message, protocol: str) -> bytes | None:
        first = query.questions[0].name[0]
        if first == b"forged":
            return address_answer(query._replace(id=query.id ^ 1), "203.0.113.66")
        if first == b"other":
            return address_answer(query._replace(questions=(lab.question("bank.example"),)), "203.0.113.66")
        if first == b"loop":
            return address_answer(query)[:12] + b"\xc0\x0c\0\1\0\1"
        if first == b"random":
            return address_answer(query)[:12] + secrets.token_bytes(400)
        return address_answer(query)

    async def work() -> None:
        with rooms(1) as (a,), Upstream(a.outside, behave):
            async with serving((client(A_ID, resolvers=(a.outside,)), a)) as names:
                with ThreadPoolExecutor(8) as pool:
                    hostile = ("forged.x", "other.x", "loop.x", "random.x")
                    jobs = [asyncio.get_running_loop().run_in_executor(pool, a.addresses, name) for name in hostile]
                    assert await asyncio.gather(*jobs) == [["SERVFAIL"]] * 4
                assert a.addresses("good.x") == ["192.0.2.7"]
                assert dict(await names.status())["errands"] == 0

    run(work)


def test_broken_questions() -> None:
    async def work() -> None:
        with rooms(1) as (a,):
            async with serving((client(A_ID, forward=False), a)):
                flood = textwrap.dedent("""
                    import os, socket, struct
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("127.0.0.11", 53))
                    for n in range(2000):
                        s.send(os.urandom(n % 700))
                    for n in range(50):
                        c = socket.create_connection(("127.0.0.11", 53)); c.sendall(os.urandom(n * 20)); c.close()
                    held = [socket.create_connection(("127.0.0.11", 53)) for _ in range(200)]
                """)
                assert a.run(sys.executable, "-I", "-c", flood).returncode == 0
                assert a.addresses("web") == ["10.1.0.2"]
                assert a.ask("web", protocol="tcp").answers

    run(work)


_MANY = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("127.0.0.11", 53)); s.settimeout(1)
count, refused = int(sys.argv[1]), 0
for n in range(count):
    s.send(struct.pack("!6H", n, 0x100, 1, 0, 0, 0) + b"\\4slow\\7example\\0\\0\\1\\0\\1")
    if n % 16 == 15:
        s.settimeout(0.05)
        try:
            while True:
                refused += s.recv(600)[3] & 15 == 5
        except OSError:
            pass
print(refused)
"""


def test_questions_under_way_are_limited_for_each_container() -> None:
    async def work() -> None:
        with rooms(2) as (a, b), Upstream(a.outside, lambda query, protocol: None):
            clients = ((client(A_ID, resolvers=(a.outside,)), a), (client(B_ID, forward=False), b))
            async with serving(*clients) as names:
                done = await asyncio.to_thread(a.run, sys.executable, "-I", "-c", _MANY, "320")
                assert int(done.stdout) >= 64, done.stderr
                assert dict(await names.status())["errands"] <= 256
                assert b.addresses("db") == ["10.1.0.3"]
                assert a.addresses("web") == ["10.1.0.2"]
                await names.leave(A_ID)
                assert dict(await names.status())["errands"] == 0

    run(work)


def test_names_outlive_the_daemon_and_the_next_one_knows_better() -> None:
    async def work() -> None:
        with rooms(2) as (a, b), tempfile.TemporaryDirectory() as directory:
            first = Names(directory)
            await first.start({}, {})
            assert await first.status() == {}  # nothing is started before it is needed
            await first.start(TABLES, {A_ID: (client(A_ID, forward=False), a.netns)})
            await first.serve(client(B_ID, forward=False), b.netns)
            pid = pid_of(first)
            await first.close()  # what a killed daemon leaves is the same: a closed connection
            assert a.addresses("web") == b.addresses("web") == ["10.1.0.2"]
            second = Names(directory)
            try:
                moved = NameRecord("web", "a" * 12, ipv4="10.1.0.77")
                await second.start({"n1": {A_ID: moved}}, {A_ID: (client(A_ID, forward=False), a.netns)})
                assert second._process is None and dict(await second.status())["containers"] == 1
                assert a.addresses("web") == ["10.1.0.77"]
                assert a.addresses("db") == ["SERVFAIL"]
                os.kill(pid, 0)
            finally:
                await second.stop()
                first._process.wait(5)  # type: ignore[union-attr]

    run(work)


def test_a_helper_that_is_killed_is_replaced_and_knows_all() -> None:
    async def work() -> None:
        with rooms(2) as (a, b):
            async with serving((client(A_ID, forward=False), a)) as names:
                for _ in range(2):
                    before = pid_of(names)
                    os.kill(before, signal.SIGKILL)
                    for _ in range(200):
                        await asyncio.sleep(0.02)
                        if pid_of(names) != before:
                            break
                    await names.serve(client(B_ID, forward=False), b.netns)
                    assert a.addresses("web") == b.addresses("web") == ["10.1.0.2"]
                    assert a.addresses("db") == ["10.1.0.3"]
                os.kill(pid_of(names), signal.SIGKILL)
                await names.publish("n1", {B_ID: NameRecord("new", "b" * 12, ipv4="10.1.0.44")})
                for _ in range(100):
                    if (await names.status()).get("containers") == 2:
                        break
                    await asyncio.sleep(0.05)
                assert a.addresses("new") == ["10.1.0.44"]

    run(work)


def test_nothing_is_left_of_containers_that_left() -> None:
    async def work() -> None:
        with rooms(1) as (a,):
            async with serving((client(A_ID, forward=False), a)) as names:
                folder = f"/proc/{pid_of(names)}/fd"
                await names.status()  # by now it watches for the helper's end, too
                own = len(os.listdir("/proc/self/fd"))
                before = len(os.listdir(folder))
                for _ in range(30):
                    await names.serve(client(B_ID, forward=False), a.netns)
                    await names.leave(B_ID)
                    await names.publish("n9", {B_ID: DB})
                    await names.withdraw("n9", [B_ID])
                assert len(os.listdir(folder)) == before
                assert len(os.listdir("/proc/self/fd")) == own
                status = Path(f"/proc/{pid_of(names)}/status").read_text()
                assert "\nUid:\t65534\t65534\t65534\t65534\n" in status and "\nNoNewPrivs:\t1\n" in status
                assert int(status.partition("CapEff:\t")[2].split()[0], 16) == 1 << 10 | 1 << 12 | 1 << 21

    run(work)


_BESIDE_A_STUB = """
import asyncio, socket, subprocess, sys, tempfile, threading
from scow.network.dns.service import Names
from scow.network.names import NameClient
from tests.integration.network.lab import Upstream, address_answer, rooms

async def work():
    with rooms(1) as (a,), Upstream("127.0.0.153", lambda query, _: address_answer(query)) as stub:
        with tempfile.TemporaryDirectory() as directory:
            names = Names(directory)
            await names.start({}, {"a": (NameClient("a", ("n",), ("n",)), a.netns)})
            print(await asyncio.to_thread(a.addresses, "x.example"))
            with open("/etc/resolv.conf", "w") as file:
                file.write("nameserver 127.0.0.154\\n")
            await asyncio.sleep(1.1)
            with Upstream("127.0.0.154", lambda query, _: address_answer(query, "192.0.2.8")):
                print(await asyncio.to_thread(a.addresses, "x.example"))
            await names.stop()
        print({peer[0] for _, _, _, peer in stub.queries})

asyncio.run(work())
"""


def test_a_stub_at_the_hosts_loopback_is_asked_from_the_host_and_may_change(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.153\n")
    script = 'mount --bind "$1" /etc/resolv.conf && exec "$2" -c "$3"'
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(tmp_path / "resolv.conf")]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path[:0] + [one for one in sys.path if one])}
    done = subprocess.run(
        [*command, sys.executable, _BESIDE_A_STUB], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.stdout.splitlines() == ["['192.0.2.7']", "['192.0.2.8']", "{'127.0.0.1'}"], done.stderr


def test_the_helper_serves_root_alone() -> None:
    async def work() -> None:
        with rooms(1) as (a,):
            async with serving((client(A_ID, forward=False), a)) as names:
                os.chmod(os.path.dirname(names._path), 0o777)
                os.chmod(names._path, 0o777)
                code = (
                    "import os, socket, sys; os.setgid(12345); os.setuid(12345);"
                    "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); s.settimeout(3)\n"
                    'try: s.send(b\'{"do": "status"}\'); print(s.recv(100))\n'
                    "except OSError: print('gone')"
                )
                done = subprocess.run([sys.executable, "-I", "-c", code, names._path], capture_output=True, text=True)
                assert done.stdout in ("gone\n", "b''\n"), done.stderr
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as nonsense:
                    nonsense.connect(names._path)
                    nonsense.settimeout(3)
                    nonsense.send(b'{"do": ["\xff')
                    assert nonsense.recv(100) == b""
                assert a.addresses("web") == ["10.1.0.2"]

    run(work)
