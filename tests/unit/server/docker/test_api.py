"""The API over a socket: what a client sees, from the request line to the last byte. The engine is real, on doubles."""

import asyncio
import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from scow.engine.ports import Credentials, PullProgress
from scow.errors import NotFound, StartFailure, Unauthenticated
from scow.server.docker.app import Wiring
from tests.unit.engine import doubles
from tests.unit.engine.doubles import World
from tests.unit.server.docker.world import made, over
from tests.unit.server.front import Front, request

TOO_OLD = "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
NOT_LOWER = "invalid reference format: repository name (library/Bad) must be lowercase"
NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)
UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


def test_ping(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        answer = await front.ask("GET", "/_ping")
        assert (answer.status, answer.body) == (200, b"OK")
        wanted = {
            "api-version": "1.45",
            "builder-version": "1",
            "cache-control": "no-cache, no-store, must-revalidate",
            "docker-experimental": "false",
            "ostype": "linux",
            "pragma": "no-cache",
            "swarm": "inactive",
            "content-type": "text/plain; charset=utf-8",
        }
        assert wanted.items() <= answer.headers.items()
        assert answer.headers["server"].startswith("scow/")
        head = await front.ask("HEAD", "/v1.24/_ping")
        assert (head.status, head.headers["content-length"]) == (200, "0")

    over(tmp_path, scenario)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nosuch", 404, "page not found"),
        ("PUT", "/info", 404, "page not found"),
        ("GET", "/v1.45/nosuch", 404, "page not found"),
        ("GET", "/info/", 404, "page not found"),
        ("DELETE", "/containers/json", 404, "No such container: json"),
        ("GET", "/v1.99/info", 400, "client version 1.99 is too new. Maximum supported API version is 1.45"),
        ("GET", "/v1.23/nosuch", 400, TOO_OLD),
        ("GET", "/containers/json?limit=x", 400, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("GET", "/containers/json?filters=x", 400, "invalid filter"),
        ("GET", "/containers/json?filters=[]", 400, "invalid filter"),
        ("GET", '/containers/json?filters={"label":"a"}', 400, "invalid filter"),
        ("GET", '/containers/json?filters={"nosuch":["a"]}', 400, "invalid filter 'nosuch'"),
        ("GET", '/containers/json?filters={"status":["weird"]}', 400, "invalid filter 'status=weird'"),
        ("GET", "/containers/json?filters=%zz", 400, 'invalid URL escape "%zz"'),
        ("GET", "/containers/nosuch/json", 404, "No such container: nosuch"),
        ("POST", "/containers/nosuch/start", 404, "No such container: nosuch"),
        ("POST", "/containers/nosuch/wait", 404, "No such container: nosuch"),
        ("POST", "/containers/nosuch/attach", 404, "No such container: nosuch"),
        ("GET", "/containers/nosuch/logs?stdout=1", 404, "No such container: nosuch"),
        ("GET", "/containers/nosuch/logs", 400, "Bad parameters: you must choose at least one stream"),
        ("GET", "/containers/c1/logs?stdout=1&since=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ("POST", "/containers/c1/wait?condition=foo", 400, 'invalid condition: "foo"'),
        ("POST", "/containers/c1/resize?h=abc&w=1", 400, 'strconv.Atoi: parsing "abc": invalid syntax'),
        ("POST", "/containers/c1/resize?h=1", 400, 'strconv.Atoi: parsing "": invalid syntax'),
        ("POST", "/containers/c1/stop?t=abc", 400, 'strconv.Atoi: parsing "abc": invalid syntax'),
        ("GET", "/containers/nosuch/archive", 400, "bad parameter: pathcannot be empty"),
        ("GET", "/containers/nosuch/archive?path=/", 404, "No such container: nosuch"),
        ("GET", "/containers/nosuch/stats", 404, "No such container: nosuch"),
        ("GET", "/containers/c1/stats?one-shot=1", 400, "cannot have stream=true and one-shot=true"),
        ("POST", "/commit?container=nosuch", 404, "No such container: nosuch"),
        ("GET", "/images/nosuch/json", 404, "No such image: nosuch:latest"),
        ("DELETE", "/images/nosuch", 404, "No such image: nosuch:latest"),
        ("POST", "/images/create?fromImage=Bad&tag=x", 400, NOT_LOWER),
        ("GET", "/exec/nosuch/json", 404, "No such exec instance: nosuch"),
        ("POST", "/exec/nosuch/start", 404, "No such exec instance: nosuch"),
        ("GET", "/volumes/nosuch", 404, "get nosuch: no such volume"),
        ("GET", "/networks/nosuch", 404, "network nosuch not found"),
        ("DELETE", "/networks/bridge", 403, "bridge is a pre-defined network and cannot be removed"),
        ("GET", "/events?since=10&until=5", 400, "`since` time (10) cannot be after `until` time (5)"),
        ("GET", "/events?since=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("GET", "/system/df?type=nosuch", 400, "unknown object type: nosuch"),
        ("POST", "/build?session=x", 501, "a build session (session) is not supported by scow"),
        ("GET", "/plugins/x/json", 404, 'plugin "x" not found'),
        ("GET", "/nodes", 503, NO_MANAGER),
        ("POST", "/swarm/leave", 503, "This node is not part of a swarm"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, method: str, path: str, status: int, message: str) -> None:
    async def scenario(front: Front, world: World) -> None:
        await made(front)
        answer = await front.ask(method, path.replace('"', "%22").replace("{", "%7B").replace("}", "%7D"))
        assert (answer.status, answer.json) == (status, {"message": message})
        assert answer.headers["content-type"] == "application/json"
        assert answer.body.endswith(b"}\n")

    over(tmp_path, scenario)


@pytest.mark.parametrize(
    ("raw", "kind", "message"),
    [
        (b"{bad", "application/json", "invalid JSON: invalid character 'b' looking for beginning of object key string"),
        (b"", "application/json", "invalid JSON: got EOF while reading request body"),
        (b"null", "application/json", "config cannot be empty in order to create a container"),
        (b"{}", "application/json; charset=utf-8", "config cannot be empty in order to create a container"),
        (b"{}", "text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
        (b"{}", "", "malformed Content-Type header (): mime: no media type"),
        (b"{}", "a;b;c", "malformed Content-Type header (a;b;c): mime: invalid media parameter"),
        (b'{"Image":"busybox","Env":["=x"]}', "application/json", "invalid environment variable: =x"),
        (b'{"image":"nosuch"}', "application/json", "No such image: nosuch:latest"),
    ],
)
def test_bad_bodies(tmp_path: Path, raw: bytes, kind: str, message: str) -> None:
    async def scenario(front: Front, world: World) -> None:
        answer = await front.ask("POST", "/containers/create", headers={"Content-Type": kind}, raw=raw)
        assert (answer.status, answer.message) == (404 if "image" in message else 400, message)
        assert not list(world.engine.containers)

    over(tmp_path, scenario)


@pytest.mark.parametrize("framing", ["length", "chunked", "single bytes"])
def test_what_is_executed_is_what_was_sent(tmp_path: Path, framing: str) -> None:
    """CVE-2024-41110: no framing makes the front see another body than the engine."""

    async def scenario(front: Front, world: World) -> None:
        body = json.dumps({"Image": "busybox", "Labels": {"who": "me"}}).encode()
        head = b"POST /containers/create?name=c1 HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
        if framing == "length":
            data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        else:
            size = len(body) if framing == "chunked" else 1
            pieces = [body[index : index + size] for index in range(0, len(body), size)]
            data = (
                head
                + b"Transfer-Encoding: chunked\r\n\r\n"
                + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces)
                + b"0\r\n\r\n"
            )
        wire = await front.connect()
        await wire.send(data)
        assert (await wire.answer()).status == 201
        inspected = await front.ask("GET", "/containers/c1/json")
        assert inspected.json["Config"]["Labels"] == {"from": "image", "who": "me"}

    over(tmp_path, scenario)


def test_one_life(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        id_ = await made(front, HostConfig={"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}})
        assert (await front.ask("GET", "/containers/json")).json == []
        (line,) = (await front.ask("GET", "/containers/json?all=1")).json
        assert (line["Names"], line["Status"], line["Command"]) == (["/c1"], "Created", "sh")
        started = await front.ask("POST", "/containers/c1/start")
        assert (started.status, started.body, "content-length" in started.headers) == (204, b"", False)
        again = await front.ask("POST", "/containers/c1/start")
        assert (again.status, again.body) == (304, b"")
        (line,) = (await front.ask("GET", "/v1.41/containers/json")).json
        assert line["Ports"] == [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]
        shown = (await front.ask("GET", f"/containers/{id_[:12]}/json")).json
        assert shown["State"]["Running"] is True
        assert shown["NetworkSettings"]["IPAddress"] == "10.9.0.2"
        assert shown["NetworkSettings"]["Ports"] == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
        assert (await front.ask("POST", "/containers/c1/rename?name=c2")).status == 204
        assert (await front.ask("POST", "/containers/c2/pause")).status == 204
        assert (await front.ask("POST", "/containers/c2/unpause")).status == 204
        assert (await front.ask("POST", "/containers/c2/resize?h=10&w=20")).status == 200
        assert (await front.ask("DELETE", "/containers/c2")).status == 409
        assert (await front.ask("POST", "/containers/c2/stop?t=1")).status == 204
        assert (await front.ask("POST", "/containers/c2/stop")).status == 304
        assert (await front.ask("DELETE", "/containers/c2?v=1")).status == 204
        assert (await front.ask("GET", "/containers/json?all=true")).json == []

    over(tmp_path, scenario)


def test_only_a_missing_image_is_404_at_create(tmp_path: Path) -> None:
    """The docker CLI answers a 404 of create with a pull."""

    async def scenario(front: Front, world: World) -> None:
        for options in (
            {"NetworkMode": "container:nosuch"},
            {"PidMode": "container:nosuch"},
        ):
            answer = await front.ask("POST", "/containers/create", {"Image": "busybox", "HostConfig": options})
            assert answer.status == 400, answer
            assert "nosuch" in answer.message
        assert (await front.ask("POST", "/containers/create", {"Image": "nosuch"})).status == 404

    over(tmp_path, scenario)


def test_a_start_that_fails(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        await made(front)
        world.supervisor.fail = StartFailure('exec: "nosuch": executable file not found in $PATH: unknown')
        answer = await front.ask("POST", "/containers/c1/start")
        assert answer.status == 400
        assert "executable file not found" in answer.message
        body = await front.ask("POST", "/containers/c1/start", {"Binds": ["/:/host"]})
        assert (body.status, body.message[:51]) == (400, "starting container with non-empty request body was ")

    over(tmp_path, scenario)


def test_wait_sends_its_head_at_once_and_forgets_a_client_that_left(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        id_ = await made(front)
        await front.ask("POST", "/containers/c1/start")
        entry = world.engine.containers.find("c1")
        first, second = await front.connect(), await front.connect()
        for wire in (first, second):
            await wire.send(request("POST", "/containers/c1/wait?condition=next-exit"))
            status, headers = await wire.head()
            assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert len(entry.exits) == 2
        second.close()
        while len(entry.exits) == 2:
            await asyncio.sleep(0.001)
        world.supervisor.tasks[id_].end(7)
        assert await first.chunk() == b'{"StatusCode":7}\n'
        assert await first.chunk() == b""

    over(tmp_path, scenario)


@pytest.mark.parametrize(
    ("prefix", "tty", "upgrade", "kind", "status"),
    [
        ("", False, True, "multiplexed-stream", 101),
        ("/v1.41", False, True, "raw-stream", 101),
        ("", True, True, "raw-stream", 101),
        ("", False, False, "raw-stream", 200),
    ],
)
def test_attach_hands_the_connection_over(
    tmp_path: Path, prefix: str, tty: bool, upgrade: bool, kind: str, status: int
) -> None:
    async def scenario(front: Front, world: World) -> None:
        id_ = await made(front, Tty=tty, OpenStdin=True)
        await front.ask("POST", "/containers/c1/start")
        sock = front.plain()
        path = f"{prefix}/containers/c1/attach?stream=1&stdin=1&stdout=1&stderr=0"
        sock.sendall(request("POST", path, headers=UPGRADE if upgrade else {}) + b"early")
        task = world.supervisor.tasks[id_]
        while not task.attached:
            await asyncio.sleep(0.001)
        (attachment,) = task.attached
        wanted = (True, True, False, not tty, b"early")
        assert (attachment.stdin, attachment.stdout, attachment.stderr, attachment.framed, attachment.early) == wanted
        head = sock.recv(4096).decode()
        assert head.startswith("HTTP/1.1 101 UPGRADED\r\n" if upgrade else "HTTP/1.1 200 OK\r\n")
        assert f"Content-Type: application/vnd.docker.{kind}\r\n" in head
        assert ("Connection: Upgrade\r\nUpgrade: tcp\r\n" in head) == upgrade
        sock.close()

    over(tmp_path, scenario)


def test_exec(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        await made(front)
        assert (await front.ask("POST", "/containers/c1/exec", {"Cmd": ["x"]})).status == 409
        await front.ask("POST", "/containers/c1/start")
        assert (await front.ask("POST", "/containers/c1/exec", {})).message == "No exec command specified"
        created = await front.ask("POST", "/containers/c1/exec", {"Cmd": ["true"], "AttachStdout": True, "Foo": 1})
        id_ = created.json["Id"]
        shown = (await front.ask("GET", f"/exec/{id_}/json")).json
        assert (shown["Running"], shown["ExitCode"], shown["ProcessConfig"]["entrypoint"]) == (False, None, "true")
        detached = await front.ask("POST", f"/exec/{id_}/start", {"Detach": True})
        assert (detached.status, detached.headers["content-length"]) == (200, "0")
        assert (await front.ask("POST", f"/exec/{id_}/start", {})).status == 409
        assert (await front.ask("POST", f"/exec/{id_}/resize?h=1&w=2")).status == 200

    over(tmp_path, scenario)


def test_an_exec_that_cannot_run_says_so_on_its_stream(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        await made(front)
        await front.ask("POST", "/containers/c1/start")
        created = await front.ask(
            "POST", "/containers/c1/exec", {"Cmd": ["nosuch"], "AttachStdout": True, "AttachStderr": True}
        )
        wire = await front.connect()
        await wire.send(request("POST", f"/exec/{created.json['Id']}/start", {}, UPGRADE))
        assert (await wire.head())[0] == 101
        said = await wire.rest()
        size = struct.unpack(">BxxxL", said[:8])[1]
        assert size == len(said) - 8
        assert b'exec: "nosuch": executable file not found in $PATH' in said
        shown = (await front.ask("GET", f"/exec/{created.json['Id']}/json")).json
        assert shown["Running"] is False
        assert shown["ExitCode"] in (126, 127)

    over(tmp_path, scenario)


def test_logs(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        id_ = await made(front)
        path = tmp_path / f"data/containers/{id_}/{id_}-json.log"
        path.write_text('{"log":"one\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n')
        answer = await front.ask("GET", "/containers/c1/logs?stdout=True&stderr=1&tail=abc&since=1.5")
        assert answer.body == b"\x01\0\0\0\0\0\0\x04one\n"
        assert answer.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        old = await front.ask("GET", "/v1.41/containers/c1/logs?stdout=1&tail=0")
        assert (old.body, old.headers["content-type"]) == (b"", "application/vnd.docker.raw-stream")

    over(tmp_path, scenario)


def test_events_live_and_past(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        wire = await front.connect()
        await wire.send(request("GET", "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D"))
        assert (await wire.head())[0] == 200
        assert world.engine.events.listeners == 1
        id_ = await made(front)
        told = json.loads(await wire.chunk())
        wanted = {
            "status": "create",
            "id": id_,
            "from": "busybox",
            "Type": "container",
            "Action": "create",
            "scope": "local",
        }
        assert wanted.items() <= told.items()
        assert told["Actor"]["ID"] == id_
        wire.close()
        while world.engine.events.listeners:
            await asyncio.sleep(0.001)
        past = await front.ask("GET", "/events?since=1&until=1000000001")
        assert [json.loads(line)["Action"] for line in past.body.splitlines()] == ["create"]

    over(tmp_path, scenario)


# ---------------------------------------------------------------- images


def puller(steps: list[PullProgress], error: Exception | None = None, seen: list[Any] | None = None) -> Any:
    async def pull(reference: Any, platform: str, credentials: Credentials | None, progress: Any) -> Any:
        if seen is not None:
            seen.append((str(reference), platform, credentials))
        for step in steps:
            progress(step)
            await asyncio.sleep(0)
        if error is not None:
            raise error
        return doubles.IMAGE

    return pull


def test_a_pull_tells_its_steps(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        seen: list[Any] = []
        steps = [
            PullProgress("Pulling from x", "1"),
            PullProgress("Downloading", "a", 1, 2),
            PullProgress("Status: done"),
        ]
        world.images.pull = puller(steps, seen=seen)  # type: ignore[attr-defined]
        auth = base64.urlsafe_b64encode(
            json.dumps({"username": "u", "password": "p?>", "serveraddress": "s"}).encode()
        ).decode()
        answer = await front.ask(
            "POST", "/images/create?fromImage=h:5/x&tag=1&platform=linux/amd64", headers={"X-Registry-Auth": auth}
        )
        lines = [json.loads(line) for line in answer.body.split(b"\r\n") if line]
        assert [line["status"] for line in lines] == ["Pulling from x", "Downloading", "Status: done"]
        assert seen == [("h:5/x:1", "linux/amd64", Credentials("u", "p?>", "", "", "s"))]

    over(tmp_path, scenario)


def test_a_pull_that_fails_before_and_after_its_first_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(front: Front, world: World) -> None:
        world.images.pull = puller([], NotFound("manifest for x:1 not found"))  # type: ignore[attr-defined]
        early = await front.ask("POST", "/images/create?fromImage=x&tag=1")
        assert (early.status, early.message) == (404, "manifest for x:1 not found")
        world.images.pull = puller([], Unauthenticated("no basic auth credentials"))  # type: ignore[attr-defined]
        assert (await front.ask("POST", "/images/create?fromImage=x&tag=1")).status == 500
        world.images.pull_all = puller([], NotFound("repository x not found"))  # type: ignore[attr-defined]
        assert (await front.ask("POST", "/images/create?fromImage=x")).message == "repository x not found"
        world.images.pull = puller([PullProgress("Pulling from x", "1")], NotFound("gone"))  # type: ignore[attr-defined]
        late = await front.ask("POST", "/images/create?fromImage=x&tag=1")
        assert late.status == 200
        assert json.loads(late.body.splitlines()[-1]) == {"errorDetail": {"message": "gone"}, "error": "gone"}

    over(tmp_path, scenario)
    assert not caplog.records  # a refusal is no defect


def test_a_pull_stops_when_its_client_leaves(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        stopped = asyncio.Event()

        async def pull(*_: Any) -> Any:
            _[3](PullProgress("Downloading", "a", 1, 2))
            try:
                await asyncio.sleep(60)
            finally:
                stopped.set()

        world.images.pull = pull  # type: ignore[attr-defined]
        wire = await front.connect()
        await wire.send(request("POST", "/images/create?fromImage=x:1"))
        await wire.head()
        wire.close()
        await asyncio.wait_for(stopped.wait(), 5)

    over(tmp_path, scenario)


def test_images(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        (line,) = (await front.ask("GET", "/images/json")).json
        assert (line["Id"], line["RepoTags"], line["Created"]) == (doubles.IMAGE.id, ["busybox:latest"], 1767323045)
        assert "VirtualSize" in (await front.ask("GET", "/v1.43/images/json")).json[0]
        old = (await front.ask("GET", "/v1.42/images/json")).json[0]
        assert (old["RepoTags"], old["RepoDigests"]) == (["busybox:latest"], None)
        assert (await front.ask("POST", "/images/busybox/tag?repo=a/b&tag=c")).status == 201
        removed = await front.ask("DELETE", "/images/a/b:c")
        assert removed.json == [{"Untagged": "a/b:c"}]
        history = (await front.ask("GET", "/images/busybox/history")).json
        assert [item["CreatedBy"] for item in history] == ["CMD sh", "ADD rootfs"]

    over(tmp_path, scenario)


def test_login(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        async def check(credentials: Credentials) -> str:
            if credentials.password != "right":
                raise Unauthenticated("unauthorized: incorrect username or password")
            return "token"

        world.images.check_credentials = check  # type: ignore[attr-defined]
        body = {"username": "u", "password": "right", "serveraddress": "s"}
        assert (await front.ask("POST", "/auth", body)).json == {"IdentityToken": "token", "Status": "Login Succeeded"}
        assert (await front.ask("POST", "/auth", {**body, "password": "wrong"})).status == 401

    over(tmp_path, scenario)


def test_bootstrap(tmp_path: Path) -> None:
    async def bootstrap(names: tuple[str, ...], progress: Any) -> None:
        progress(PullProgress(f"built {names}"))

    async def scenario(front: Front, world: World) -> None:
        answer = await front.ask("POST", "/scow/images/bootstrap", {"Names": ["busybox"]})
        assert json.loads(answer.body) == {"status": "built ('busybox',)"}

    over(tmp_path, scenario, Wiring(bootstrap))


def test_a_defect_is_500_without_a_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(front: Front, world: World) -> None:
        def broken(*_: object) -> Any:
            raise ZeroDivisionError("secret detail")

        world.images.resolve = broken  # type: ignore[method-assign]
        answer = await front.ask("GET", "/images/x/json")
        assert (answer.status, answer.message) == (500, "internal error (the daemon's log has the details)")

    over(tmp_path, scenario)
    assert "ZeroDivisionError" in caplog.text
