"""A daemon that knows a few answers by heart: the CLI's golden cases run against it, ours and the recorded one.

`answers.json` maps `METHOD path` (without version and query) to `[status, body]`; unknown paths answer 404 with a message.
"""

import json
import socket
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def load_answers() -> dict[str, Any]:
    return json.loads((HERE / "answers.json").read_text())


class CannedDaemon:
    """Serves until closed. `requests` keeps (method, target, body) of what came."""

    def __init__(self, path: str, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, str, bytes]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while line := file.readline():
                method, target, _ = line.decode().split(" ", 2)
                size = 0
                while (header := file.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    if name.lower() == "content-length":
                        size = int(value)
                body = file.read(size)
                self.requests.append((method, target, body))
                try:
                    connection.sendall(self._answer(method, target))
                except OSError:
                    return

    def _answer(self, method: str, target: str) -> bytes:
        path = target.partition("?")[0]
        if path.startswith("/v1."):
            path = path[path.index("/", 1) :]
        status, body = self.answers.get(f"{method} {path}", [404, {"message": f"No such thing: {path}"}])
        data = b"" if body is None else (json.dumps(body, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
        head = [
            f"HTTP/1.1 {status} Canned",
            "Api-Version: 1.45",
            "Ostype: linux",
            "Content-Type: application/json",
            f"Content-Length: {len(data)}" if status not in (204, 304) else "X-Empty: 1",
        ]
        raw = "\r\n".join(head).encode() + b"\r\n\r\n"
        return raw if method == "HEAD" or status in (204, 304) else raw + data
