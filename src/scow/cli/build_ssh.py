"""--ssh: the user's ssh agent, or one with keys from files, lent to the steps of a build that ask for it."""

from __future__ import annotations

import os
import stat

from scow.build.agent_messages import FAILURE, Messages, allowed, packed
from scow.cli.command import Exit, environment
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.client.api import Client, Connection

_PIECE = 64 << 10


class Lent:
    """The agents of one build. `parameter` names them to it; `close` when it is over."""

    def __init__(self, words: list[str]) -> None:
        """Of the flags `default` or `ID=SOCKET` or `ID=KEY[,KEY…]`. Exit for what is wrong."""
        self._places: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._own: list[tuple[int, str]] = []
        for word in words:
            name, _, value = word.partition("=")
            if name in self._places:
                raise Exit(1, f"invalid duplicate ID {name}")
            try:
                self._places[name or "default"] = self._place(name, [path for path in value.split(",") if path])
            except BaseException:
                self.close()
                raise

    def _place(self, name: str, paths: list[str]) -> str:
        """The path of the agent's socket."""
        if not paths:
            socket = environment("SSH_AUTH_SOCK")
            if not socket:
                raise Exit(1, "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
            return socket
        try:
            sockets = [path for path in paths if stat.S_ISSOCK(os.stat(path).st_mode)]
        except OSError as error:
            raise Exit(1, f"failed to open {error.filename}: {(error.strerror or '').lower()}") from None
        if sockets:
            if len(paths) > 1:
                raise Exit(1, f"only a single socket can be given for ssh {name}")
            return paths[0]
        return self._agent_of(paths)

    def _agent_of(self, keys: list[str]) -> str:
        """An agent of our own with keys from files, which ends with the build."""
        import subprocess
        import tempfile

        directory = tempfile.mkdtemp(prefix="scow-ssh-")
        socket = f"{directory}/agent"
        try:
            agent = subprocess.Popen(
                ["ssh-agent", "-D", "-a", socket], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        except FileNotFoundError:
            os.rmdir(directory)
            raise Exit(1, "ssh-agent is not installed: keys from files need it (package openssh-client)") from None
        self._own.append((agent.pid, directory))
        agent.returncode = 0  # `close` ends it, and waits for it
        _wait_for(socket)
        variables = {**os.environ, "SSH_AUTH_SOCK": socket, "SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ""}
        for key in keys:
            added = subprocess.run(
                ["ssh-add", "-q", "--", key],
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                start_new_session=True,  # without a terminal it asks for no passphrase
            )
            if added.returncode:
                raise Exit(1, f"failed to parse {key}: {added.stderr.strip()}")
        return socket

    def open(self, client: Client) -> list[tuple[str, str]]:
        """Connect them to the daemon; what names them to the build."""
        import threading

        for name, place in self._places.items():
            self._ids[name] = os.urandom(16).hex()
            params = (("id", self._ids[name]),)
            connection = client.send("POST", "/scow/build/agents", params, upgrade=True).answer().hijack()
            threading.Thread(target=_serve, args=(connection, place), daemon=True).start()
        return [("ssh", jsontext.encode(self._ids).decode())] if self._ids else []

    def close(self) -> None:
        import shutil
        import signal

        while self._own:
            pid, directory = self._own.pop()
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            shutil.rmtree(directory, ignore_errors=True)


def _wait_for(path: str) -> None:
    import time

    for _ in range(500):
        if os.path.exists(path):
            return
        time.sleep(0.01)
    raise Exit(1, "ssh-agent did not start")


def _serve(connection: Connection, place: str) -> None:
    """Answer the daemon until it closes. Anything but a question for keys or a signature gets a refusal from here."""
    messages = Messages()
    try:
        while data := connection.receive(_PIECE):
            for message in messages.feed(data):
                connection.send(packed(_ask(place, message) if allowed(message) else FAILURE))
    except Exception:  # noqa: BLE001  the build says what a missing answer means; the terminal is another thread's
        pass
    finally:
        connection.close()


def _ask(place: str, message: bytes) -> bytes:
    import socket

    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(place)
            agent.sendall(packed(message))
            messages = Messages()
            while data := agent.recv(_PIECE):
                for answer in messages.feed(data):
                    return answer
    except OSError:
        pass
    return FAILURE
