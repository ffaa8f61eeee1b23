"""Listening sockets: mode and owner, stale ones, and what is refused."""

import asyncio
import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from scow.errors import Conflict, InvalidArgument, ScowError, Unsupported
from scow.server.http.request import Request
from scow.server.listen import TlsFiles, bind_unix, serve, tls_context


async def handler(req: Request) -> None:
    req.send(200, b"hello")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_mode_is_exact_under_any_umask(tmp_path: Path, umask: int) -> None:
    """CVE-2014-3499: never world-writable, not even for a moment."""
    old = os.umask(umask)
    try:
        sock = bind_unix(str(tmp_path / "s"))
    finally:
        os.umask(old)
    info = os.stat(tmp_path / "s")
    assert (stat.S_ISSOCK(info.st_mode), stat.S_IMODE(info.st_mode)) == (True, 0o660)
    assert os.listdir(tmp_path) == ["s"]
    sock.close()


def test_nobody_can_connect_before_the_mode_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    path = str(tmp_path / "s")
    chmod = os.chmod

    def probe(*args: object, **kwargs: object) -> None:
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(path)
        seen.append("probed")
        chmod(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "chmod", probe)
    bind_unix(path).close()
    assert seen == ["probed"]


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    first = bind_unix(path)
    with pytest.raises(Conflict, match=f"a daemon already answers on {path}"):
        bind_unix(path)
    first.close()
    bind_unix(path).close()


def test_what_is_not_a_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("file", "link"):
        with pytest.raises(Conflict, match="not a socket"):
            bind_unix(str(tmp_path / name))
    assert (tmp_path / "file").read_text() == "precious"
    assert (tmp_path / "link").is_symlink()


def test_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    sock = bind_unix(str(deep / "s"))
    assert stat.S_ISSOCK(os.stat(deep / "s").st_mode)
    sock.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a socket to another group")
def test_the_group(tmp_path: Path) -> None:
    for name, group in (("a", "4321"), ("b", grp.getgrgid(1).gr_name)):
        bind_unix(str(tmp_path / name), group).close()
    assert os.stat(tmp_path / "a").st_gid == 4321
    assert os.stat(tmp_path / "b").st_gid == 1


def test_an_unknown_group_leaves_no_socket(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no-such-group"):
        bind_unix(str(tmp_path / "s"), "no-such-group")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("unix://relative", InvalidArgument),
        ("/just/a/path", Unsupported),
        ("fd://", Unsupported),
        ("tcp://127.0.0.1", InvalidArgument),
        ("tcp://127.0.0.1:99999", InvalidArgument),
        ("tcp://0.0.0.0:2375", InvalidArgument),
        ("tcp://[::]:2375", InvalidArgument),
        ("tcp://172.17.0.1:2375", InvalidArgument),
    ],
)
def test_refused_hosts(host: str, kind: type[ScowError]) -> None:
    """CVE-2025-9074: without TLS the API listens where no container can reach it."""
    with pytest.raises(kind):
        asyncio.run(serve(handler, [host]))


def test_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(InvalidArgument):
        asyncio.run(serve(handler, [f"unix://{path}", "tcp://0.0.0.0:1"]))
    assert not path.exists()


def test_two_hosts_and_the_end(tmp_path: Path) -> None:
    async def body() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        listeners = await serve(handler, [f"unix://{tmp_path}/s", f"tcp://127.0.0.1:{port}"])
        for reader, writer in (
            await asyncio.open_unix_connection(f"{tmp_path}/s"),
            await asyncio.open_connection("127.0.0.1", port),
        ):
            writer.write(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
            assert b"200 OK" in await reader.readline()
        await listeners.close(1)
        assert not (tmp_path / "s").exists()

    asyncio.run(body())


def test_another_daemons_socket_is_not_removed_at_the_end(tmp_path: Path) -> None:
    async def body() -> None:
        listeners = await serve(handler, [f"unix://{tmp_path}/s"])
        os.unlink(tmp_path / "s")
        other = bind_unix(str(tmp_path / "s"))
        await listeners.close(0)
        assert (tmp_path / "s").exists()
        other.close()

    asyncio.run(body())


def test_broken_certificates_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="TLS certificates"):
        tls_context(TlsFiles(str(tmp_path / "no.pem"), str(tmp_path / "no.key")))


def test_a_server_that_stops_waits_for_work_and_not_for_those_who_listen(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    finish, done = asyncio.Event(), []

    async def answers(request: Request) -> None:
        if request.path == "/work":
            await finish.wait()
            request.send(200, b"")
            done.append("work")
            return
        request.endless = True
        request.stream(200)
        await asyncio.Event().wait()

    async def body() -> None:
        listeners = await serve(answers, [f"unix://{path}"])
        readers = []
        for target in ("/events", "/work"):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            readers.append((reader, writer))
        await readers[0][0].readuntil(b"\r\n\r\n")
        closing = asyncio.ensure_future(listeners.close(3600))
        assert await readers[0][0].read() == b"" and not closing.done()
        finish.set()
        await closing
        assert done == ["work"]
        for _, writer in readers:
            writer.close()

    asyncio.run(body())
