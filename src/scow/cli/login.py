"""`scow login`: checks credentials with a registry through the daemon, and keeps them in config.json or a helper."""

from __future__ import annotations

import posix
import sys

from scow.cli.command import Command, Exit
from scow.cli.output import line, put, warn
from scow.client import credentials
from scow.client.api import ApiError
from scow.client.config import read
from scow.client.credentials import Credentials
from scow.client.select import config_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("password", "p", "string", "", "Password or personal access token"),
    ("password-stdin", "", "bool", "", "Read the password or personal access token from stdin"),
    ("username", "u", "string", "", "User name"),
)


def _login(session: Session, flags: Flags, args: list[str]) -> int:
    username, password = _given(flags)
    server = server_of(args[0] if args else "")
    config = read(config_directory(session.config_dir) + "/config.json")
    before = credentials.load(config, server)
    answer, used = None, before
    if not username and not password and before is not None:
        answer = _with_stored(session, server, before)
        username = before.username
    if answer is None:
        used = _ask(username, password)
        answer = _check(session, server, used)
    assert used is not None
    token = str(answer.get("IdentityToken") or used.identity_token)  # a server need not give a new one each time
    kept = Credentials(used.username, "" if token else used.password, token)
    try:
        in_file = credentials.store(config, server, kept)
    except credentials.HelperFailure as error:
        raise Exit(1, f"Error saving credentials: {error}") from None
    if in_file and (before is None or before.password != kept.password):
        warn(
            f"\nWARNING! Your credentials are stored unencrypted in '{config.path}'.\n"
            "Configure a credential helper to remove this warning. See\n"
            "https://docs.docker.com/go/credential-store/\n"
        )
    line(str(answer.get("Status") or "Login Succeeded"))
    return 0


def server_of(given: str) -> str:
    """The key of the registry that the user names."""
    return credentials.server_key(credentials.host_name(given) or "docker.io")


def _check(session: Session, server: str, chosen: Credentials) -> dict[str, Any]:
    request = {"username": chosen.username, "password": chosen.password, "serveraddress": server}
    if chosen.identity_token:
        request["identitytoken"] = chosen.identity_token
    return session.client.post("/auth", (), request) or {}


def _with_stored(session: Session, server: str, stored: Credentials) -> dict[str, Any] | None:
    """The answer to the credentials that are kept already; None when they are not good any more."""
    whose = f" [Username: {stored.username}]" if stored.username else ""
    program = session.program
    warn(f"Authenticating with existing credentials...{whose}")
    warn(f"\n Info -> To login with a different account, run '{program} logout' followed by '{program} login'\n\n")
    try:
        return _check(session, server, stored)
    except ApiError as error:
        if error.status == 401:
            warn("Stored credentials invalid or expired")
        else:
            warn(f"Login did not succeed, error: {error}")
    return None


def _given(flags: Flags) -> tuple[str, str]:
    """User name and password of the command line and of stdin."""
    username = flags.text("username")
    if flags.changed("username") and not username:
        raise Exit(1, "username is empty")
    if flags.changed("password"):
        if flags.on("password-stdin"):
            raise Exit(1, "conflicting options: cannot specify both --password and --password-stdin")
        if not flags.text("password"):
            raise Exit(1, "password is empty")
        warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        return username, flags.text("password")
    if not flags.on("password-stdin"):
        return username, ""
    if not username:
        raise Exit(1, "the --password-stdin option requires --username to be set")
    text = sys.stdin.read() if sys.stdin else ""
    return username, text.removesuffix("\n").removesuffix("\r")


def _ask(username: str, password: str) -> Credentials:
    if username and password:
        return Credentials(username, password)
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
    return Credentials(username, password)


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
