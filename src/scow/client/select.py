"""Which daemon to speak to: `-H`, SCOW_HOST, DOCKER_HOST, the context, the default socket, in this order."""

from __future__ import annotations

import posix

from scow.client.api import Client
from scow.client.endpoint import DEFAULT_HOST, TLS, Endpoint
from scow.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from scow.client.config import Config


def variable(name: str) -> str:
    """An environment variable, empty when it is not set."""
    return posix.environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")


def config_directory(given: str = "") -> str:
    """Where config.json and the contexts are: `--config`, DOCKER_CONFIG, ~/.docker."""
    if given:
        return given
    directory = variable("DOCKER_CONFIG")
    if directory:
        return directory
    home = variable("HOME")
    if not home:
        import pwd

        home = pwd.getpwuid(posix.getuid()).pw_dir
    return home.rstrip("/") + "/.docker"


def load_config(given: str = "") -> Config | None:
    """The CLI's configuration, None when there is none (the usual case on a server: one failed stat)."""
    path = config_directory(given) + "/config.json"
    try:
        posix.stat(path)
    except OSError:
        return None
    from scow.client.config import read

    return read(path)


def normalise_host(text: str) -> str:
    """Adds what a host string may leave out: `tcp://` before host:port, `unix://` before a path."""
    text = text.strip()
    if "://" in text:
        if text == "unix://":
            return DEFAULT_HOST
        return text
    if text.startswith("/"):
        return "unix://" + text
    if not text or ":" not in text:
        raise InvalidArgument(f"invalid bind address ({text}): should be in the form proto://address or host:port")
    return "tcp://" + text


def context_name(config: Config | None, host: str, context: str) -> str:
    """The context in force; "default" is what host, environment and the default socket say."""
    if context or host or _host_variable():
        return context or "default"
    return variable("DOCKER_CONTEXT") or (config.current_context if config else "") or "default"


def connect(config: Config | None, host: str, context: str, config_dir: str, tls: Mapping[str, str]) -> Client:
    """A client for the daemon that these choose; nothing is sent yet."""
    secured = _tls_options(config_dir, tls)
    named = context_name(config, host, context)
    if named != "default":
        return _from_context(named, config, config_dir)
    chosen = host or _host_variable()
    chosen = normalise_host(chosen) if chosen else DEFAULT_HOST
    if chosen.startswith("unix://"):
        secured = None
    return Client(Endpoint(chosen, secured), variable("DOCKER_API_VERSION"), config.headers if config else ())


def _host_variable() -> str:
    return variable("SCOW_HOST") or variable("DOCKER_HOST")


def _tls_options(config_dir: str, given: Mapping[str, str]) -> TLS | None:
    verify = given.get("tlsverify", "true" if variable("DOCKER_TLS_VERIFY") else "") == "true"
    wanted = verify or given.get("tls") == "true" or bool(variable("DOCKER_TLS"))
    if not wanted and "tlsverify" not in given:
        return None
    directory = variable("DOCKER_CERT_PATH") or config_directory(config_dir)

    def existing(option: str, name: str) -> str:
        if option in given:
            return given[option]
        path = f"{directory}/{name}"
        try:
            posix.stat(path)
        except OSError:
            return path if option == "tlscacert" else ""
        return path

    return TLS(existing("tlscacert", "ca.pem"), existing("tlscert", "cert.pem"), existing("tlskey", "key.pem"), verify)


def _from_context(name: str, config: Config | None, config_dir: str) -> Client:
    from scow.client.context import endpoint_of

    endpoint = endpoint_of(name, config_directory(config_dir))
    return Client(endpoint, variable("DOCKER_API_VERSION"), config.headers if config else ())
