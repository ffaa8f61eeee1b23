"""`scow login`: checks credentials with a registry through the daemon, and keeps them in config.json or a helper."""

from __future__ import annotations

import posix
import sys

from scow.cli.command import Command, Exit
from scow.cli.output import line, put, warn
from scow.client import credentials
from scow.client.config import Config, read
from scow.client.select import config_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("password", "p", "string", "", "Password or personal access token"),
    ("password-stdin", "", "bool", "", "Read the password or personal access token from stdin"),
    ("username", "u", "string", "", "User name"),
)


def _login(session: Session, flags: Flags, args: list[str]) -> int:
    password = _password(flags)
    username = flags.text("username")
    server = args[0] if args else ""
    if server in ("", "docker.io", "index.docker.io", credentials.INDEX_SERVER):
        server = credentials.INDEX_SERVER
    else:
        server = credentials.host_name(server)
    config = read(config_directory(session.config_dir) + "/config.json")
    chosen = None
    if not username and not password:
        chosen = credentials.load(config, server)
        if chosen is not None:
            warn(f"Authenticating with existing credentials... [Username: {chosen.username}]\n")
    if chosen is None:
        chosen = _ask(username, password)
    before = credentials.load(config, server)
    request = {"username": chosen.username, "password": chosen.password, "serveraddress": server}
    if chosen.identity_token:
        request["identitytoken"] = chosen.identity_token
    answer = session.client.post("/auth", (), request) or {}
    token = answer.get("IdentityToken") or ""
    kept = credentials.Credentials(chosen.username, "" if token else chosen.password, token)
    in_file = credentials.store(config, server, kept)
    if in_file and (before is None or before.password != kept.password):
        _warn_plain(config)
    line(str(answer.get("Status") or "Login Succeeded"))
    return 0


def _warn_plain(config: Config) -> None:
    warn(
        f"\nWARNING! Your credentials are stored unencrypted in '{config.path}'.\n"
        "Configure a credential helper (credsStore) to keep them elsewhere.\n"
    )


def _password(flags: Flags) -> str:
    if flags.changed("password"):
        if flags.on("password-stdin"):
            raise Exit(1, "conflicting options: cannot specify both --password and --password-stdin")
        warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        return flags.text("password")
    if not flags.on("password-stdin"):
        return ""
    if not flags.text("username"):
        raise Exit(1, "the --password-stdin option requires --username to be set")
    text = sys.stdin.read() if sys.stdin else ""
    return text.removesuffix("\n").removesuffix("\r")


def _ask(username: str, password: str) -> credentials.Credentials:
    if username and password:
        return credentials.Credentials(username, password)
    if not posix.isatty(0):
        raise Exit(1, "Error: Cannot perform an interactive login from a non TTY device")
    if not username:
        put("Username: ")
        username = sys.stdin.readline().strip()
        if not username:
            raise Exit(1, "Error: Non-null Username Required")
    if not password:
        password = _hidden("Password: ")
        if not password:
            raise Exit(1, "Error: Password Required")
    return credentials.Credentials(username, password)


def _hidden(prompt: str) -> str:
    """A line read from the terminal without an echo."""
    import termios

    before = termios.tcgetattr(0)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    put(prompt)
    try:
        termios.tcsetattr(0, termios.TCSAFLUSH, quiet)
        return sys.stdin.readline().rstrip("\n")
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, before)
        put("\n")


COMMAND = Command(
    _login,
    "[OPTIONS] [SERVER]",
    "Authenticate to a registry (Docker Hub if none is named)",
    "",
    _OPTIONS,
    0,
    1,
)
