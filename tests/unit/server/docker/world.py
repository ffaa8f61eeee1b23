"""The Docker front over the real engine on doubles."""

import asyncio
import http.client
import json
import socket
import urllib.parse
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from scow.model.volume import Volume
from scow.server.docker.app import Wiring, build_app
from tests.unit.engine.doubles import World
from tests.unit.server.front import Front, served

Scenario = Callable[[Front, World], Coroutine[Any, Any, None]]


def over(root: Path, scenario: Scenario, wiring: Wiring | None = None) -> None:
    """Run `scenario` against a served front."""

    async def make(front: Front) -> None:
        await scenario(front, world)

    world = World(root)
    world.volumes = world.engine.volumes  # type: ignore[assignment]
    make_volume = world.volumes.create

    async def create(name: str = "", *, labels: Any = None, **rest: Any) -> Volume:
        volume = replace(await make_volume(name, **rest), labels=labels or {})
        world.volumes.all[volume.name] = volume
        return volume

    world.volumes.create = create  # type: ignore[method-assign]
    world.volumes.usage = usage  # type: ignore[attr-defined]
    try:
        served(root, build_app(world.engine, wiring), make)
    finally:
        world.database.close()


async def usage(name: str) -> int:
    return 0


def blocking_api(path: str) -> Callable[[str, str, Any], tuple[int, Any]]:
    """A client for code that does not know asyncio; call it in a thread."""

    def api(method: str, target: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        connection.sock.connect(path)
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if data else {}
        connection.request(method, urllib.parse.quote(target, safe="/?&=%"), data, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text.strip() else None

    return api


async def in_thread(call: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(call, *args)


async def made(front: Front, name: str = "c1", **body: Any) -> str:
    answer = await front.ask("POST", f"/containers/create?name={name}", {"Image": "busybox", **body})
    assert answer.status == 201, answer.body
    return str(answer.json["Id"])
