"""Commands against a client that answers from a table."""

import json
from pathlib import Path
from typing import Any

import pytest

from scow.cli import login, search, stats, system_prune, update
from scow.cli.command import Command, Exit
from scow.cli.flags import Flags
from scow.client.api import ApiError
from scow.client.config import Config
from scow.client.credentials import INDEX_SERVER


class Answer:
    def __init__(self, value: Any) -> None:
        self.value = value

    def answer(self) -> "Answer":
        return self

    def json(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Client:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    def send(self, method: str, path: str, params: Any = (), body: Any = None, headers: Any = ()) -> Answer:
        self.asked.append((path, headers))
        return Answer(self.answers.get(path))

    call = send

    def post(self, path: str, params: Any = (), body: Any = None) -> Any:
        return self.send("POST", path, params, body).json()


class Session:
    program, path = "scow", "scow"

    def __init__(self, answers: dict[str, Any], home: Path, config: dict[str, Any] | None = None) -> None:
        self.client = Client(answers)
        self.config_dir = str(home)
        self.config = Config(str(home / "config.json"), config or {})
        (home / "config.json").write_text(json.dumps(config or {}))


def run(command: Command, session: Session, options: dict[str, Any], *args: str) -> int:
    flags = Flags(command.options)
    for name, value in options.items():
        flags.store(name, value)
    return command.run(session, flags, list(args))  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", [":3", "no:x"])
def test_update_tells_what_is_wrong_with_a_policy(tmp_path: Path, policy: str) -> None:
    with pytest.raises(Exit) as told:
        run(update.COMMAND, Session({}, tmp_path), {"restart": policy}, "web")
    assert told.value.code == 1 and "restart policy" in told.value.message


def test_stats_of_containers_that_are_not_there(tmp_path: Path) -> None:
    gone = {f"/containers/{name}/stats": ApiError(404, f"No such container: {name}") for name in ("a", "b")}
    with pytest.raises(Exit) as told:
        run(stats.COMMAND, Session(gone, tmp_path), {"no-stream": True}, "a", "b")
    assert told.value.message.splitlines() == [
        f"Error response from daemon: No such container: {name}" for name in ("a", "b")
    ]


def test_system_prune_asks_for_the_build_cache_that_it_speaks_of(tmp_path: Path) -> None:
    session = Session({}, tmp_path)
    assert run(system_prune.COMMAND, session, {"force": True}) == 0
    assert [path for path, _ in session.client.asked][-1] == "/build/prune"


def test_a_second_login_keeps_the_identity_token(tmp_path: Path) -> None:
    """A server need not give a new one each time."""
    stored = {"auths": {"r.example": {"auth": "bWU6", "identitytoken": "TOK"}}}
    session = Session({"/auth": {"Status": "Login Succeeded", "IdentityToken": ""}}, tmp_path, stored)
    assert run(login.COMMAND, session, {}, "r.example") == 0
    assert json.loads((tmp_path / "config.json").read_text())["auths"]["r.example"]["identitytoken"] == "TOK"


@pytest.mark.parametrize("given", ["", "docker.io", "docker.io/", "index.docker.io", INDEX_SERVER, INDEX_SERVER[:-1]])
def test_every_spelling_of_the_hub_is_one_registry(given: str) -> None:
    assert login.server_of(given) == INDEX_SERVER


def test_a_search_of_the_hub_by_name_has_its_credentials(tmp_path: Path) -> None:
    session = Session({}, tmp_path, {"auths": {INDEX_SERVER: {"auth": "bWU6cHc="}}})
    for term in ("docker.io/foo", "foo"):
        run(search.COMMAND, session, {}, term)
    assert all(headers and headers[0][0] == "X-Registry-Auth" for _, headers in session.client.asked)
