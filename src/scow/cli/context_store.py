"""Contexts on disk, where and as Docker's CLI keeps them: one directory for what is said of one, one for its TLS files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil

from scow.cli.command import Exit, environment
from scow.cli.flags import boolean, go_quote
from scow.client import jsontext
from scow.client.config import Config, read_file, replace_file, write
from scow.client.endpoint import DEFAULT_HOST
from scow.client.select import config_directory, context_name, normalise_host
from scow.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Option

DEFAULT = "default"
DEFAULT_TEXT = "Current DOCKER_HOST based configuration"
OPTIONS: tuple[Option, ...] = (
    ("description", "", "string", "", "Description of the context"),
    ("docker", "", "string", "", "The daemon's endpoint: host=, ca=, cert=, key=, skip-tls-verify=, from="),
)
_FAILED = "unable to create docker endpoint config"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")
_TLS = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


class Store:
    """The contexts of one configuration directory."""

    def __init__(self, session: Session) -> None:
        self.root = config_directory(session.config_dir) + "/contexts"
        self._session = session

    def meta_directory(self, name: str) -> str:
        return f"{self.root}/meta/{_key(name)}"

    def tls_directory(self, name: str) -> str:
        return f"{self.root}/tls/{_key(name)}"

    def names(self) -> list[str]:
        """Of all that are kept, in no order."""
        found = []
        for key in _listed(f"{self.root}/meta"):
            meta = _read(f"{self.root}/meta/{key}/meta.json")
            if meta is not None and _key(str(meta.get("Name"))) == key:
                found.append(str(meta["Name"]))
        return found

    def exists(self, name: str) -> bool:
        return os.path.exists(self.meta_directory(name) + "/meta.json")

    def check_new(self, name: str) -> None:
        """Exit with Docker's sentences for a name that cannot be given, or has been."""
        check_name(name)
        if self.exists(name):
            raise Exit(1, f'context "{name}" already exists')

    def load(self, name: str) -> dict[str, Any]:
        """What is said of a context; of `default` what options and environment say. Exit when there is none."""
        if name == DEFAULT:
            host = self._session.host or environment("SCOW_HOST") or environment("DOCKER_HOST")
            return {
                "Name": DEFAULT,
                "Metadata": {},
                "Endpoints": {"docker": {"Host": host or DEFAULT_HOST, "SkipTLSVerify": False}},
            }
        path = self.meta_directory(name) + "/meta.json"
        meta = _read(path)
        if meta is None:
            raise Exit(1, self.missing(name))
        return meta

    def missing(self, name: str) -> str:
        """Docker's sentence."""
        path = self.meta_directory(name) + "/meta.json"
        return f'context "{name}": context not found: open {path}: no such file or directory'

    def tls_content(self, name: str) -> dict[str, dict[str, bytes]]:
        """Of each endpoint, its files."""
        root = self.tls_directory(name)
        return {
            endpoint: {file: read_file(f"{root}/{endpoint}/{file}") for file in files}
            for endpoint, files in self.tls_files(name).items()
        }

    def tls_files(self, name: str) -> dict[str, list[str]]:
        """Endpoint to names of files."""
        root = self.tls_directory(name)
        return {endpoint: sorted(_listed(f"{root}/{endpoint}")) for endpoint in sorted(_listed(root))}

    def save(self, meta: dict[str, Any], tls: dict[str, dict[str, bytes]] | None) -> None:
        """Keep a context; `tls`, by endpoint, replaces its files (None leaves them)."""
        name = meta["Name"]
        if tls is not None:
            self._replace_tls(self.tls_directory(name), tls)
        text = json.dumps(meta, separators=(",", ":"), ensure_ascii=False)
        replace_file(self.meta_directory(name) + "/meta.json", text.encode(), 0o644)

    @staticmethod
    def _replace_tls(directory: str, tls: dict[str, dict[str, bytes]]) -> None:
        """All of it or, on a full disk, none: the old keys may be nowhere else."""
        scratch = f"{directory}.{os.getpid()}"
        try:
            for endpoint, files in tls.items():
                for file, content in files.items():
                    replace_file(f"{scratch}/{endpoint}/{file}", content, 0o600)
            shutil.rmtree(directory, ignore_errors=True)
            if os.path.exists(scratch):
                os.rename(scratch, directory)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def remove(self, name: str) -> None:
        for path in (self.meta_directory(name), self.tls_directory(name)):
            if os.path.lexists(path):
                shutil.rmtree(path)

    def current(self) -> str:
        """The context that is in force."""
        return context_name(self._session.config, self._session.host, self._session.context)

    def choose(self, name: str) -> None:
        """Make it the one that config.json names."""
        config = self._session.config
        if config is None:
            config = Config(config_directory(self._session.config_dir) + "/config.json", {"auths": {}})
        if name == DEFAULT:
            if config.data.pop("currentContext", None) is None:
                return
        else:
            config.data["currentContext"] = name
        write(config)


def check_name(name: str) -> None:
    """Exit with Docker's sentences for a name that no context can have."""
    if name == DEFAULT:
        raise Exit(1, '"default" is a reserved context name')
    if not name:
        raise Exit(1, "context name cannot be empty")
    if not _NAME.fullmatch(name):
        shown = "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"
        raise Exit(1, f'context name "{name}" is invalid, names are validated against regexp "{shown}"')


def endpoint(store: Store, given: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """`--docker host=…,ca=…,cert=…,key=…,skip-tls-verify=…,from=…`: (the endpoint, its TLS files)."""
    options: dict[str, str] = {}
    for part in given.split(",") if given else ():
        key, equals, value = part.partition("=")
        if not equals:
            shown = f'{go_quote(given)} for "--docker" flag'
            raise Exit(125, f"invalid argument {shown}: {part} must be formatted as key=value")
        if key.strip().lower() not in ("host", "from", "skip-tls-verify", *_TLS):
            raise Exit(1, f"{_FAILED}: unrecognized config key: {key}")
        options[key.strip().lower()] = value
    if "from" in options or not options:
        name = options.get("from") or store.current()
        try:
            meta = store.load(name)
        except Exit as missing:
            raise Exit(1, f"{_FAILED}: {missing.message}") from None
        if "docker" not in meta["Endpoints"]:
            raise Exit(1, f'context "{name}" has no docker endpoint')
        directory = f"{store.tls_directory(name)}/docker"
        files = {} if name == DEFAULT else {file: read_file(f"{directory}/{file}") for file in _listed(directory)}
        return dict(meta["Endpoints"]["docker"]), files
    try:
        host = normalise_host(options["host"]) if options.get("host") else ""
    except InvalidArgument:
        why = f"unable to apply docker endpoint options: unable to parse docker host `{options['host']}`"
        raise Exit(1, f"{_FAILED}: {why}") from None
    files = {}
    for key, file in _TLS.items():
        if options.get(key):
            try:
                files[file] = read_file(options[key])
            except OSError as error:
                reason = (error.strerror or "").lower()
                raise Exit(1, f"{_FAILED}: open {options[key]}: {reason}") from None
    given_skip = options.get("skip-tls-verify", "")
    try:
        skip = bool(given_skip) and boolean(given_skip)
    except ValueError:
        why = f"skip-tls-verify: parsing {go_quote(given_skip)}: invalid syntax"
        raise Exit(1, f"{_FAILED}: {why}") from None
    return {"Host": host, "SkipTLSVerify": skip}, files


def _key(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _read(path: str) -> dict[str, Any] | None:
    try:
        value = jsontext.decode(read_file(path))
    except (OSError, ValueError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("Endpoints"), dict):
        return None
    if not isinstance(value.get("Metadata"), dict):
        value["Metadata"] = {}
    if not isinstance(value["Endpoints"].get("docker"), dict):
        value["Endpoints"].pop("docker", None)
    return value
