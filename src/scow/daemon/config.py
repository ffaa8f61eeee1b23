"""Flags and daemon.json, with dockerd's names. A key that scow does not know is refused by name."""

import argparse
import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from scow.daemon import runtimes
from scow.errors import InvalidArgument
from scow.model.runtime import NATIVE, Runtime

DEFAULT_CONFIG_FILE = "/etc/scow/daemon.json"
_LEVELS = ("debug", "info", "warn", "error", "fatal")
_SIZE = re.compile(r"(\d+)([bkmgt]?)b?\Z")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set. Field names are daemon.json's keys with `-` as `_`."""

    data_root: str = "/var/lib/scow"
    exec_root: str = "/run/scow"
    hosts: tuple[str, ...] = ()
    pidfile: str = ""
    log_level: str = "info"
    debug: bool = False
    group: str = ""
    bridge: str = ""
    bip: str = ""
    mtu: int = 0
    icc: bool = True  # containers on the default bridge reach each other
    ip: str = ""  # where ports are published that name no address
    default_address_pools: tuple[dict[str, Any], ...] = ()
    publish_policy: str = "docker"  # docker, loopback, host-firewall
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    log_driver: str = "json-file"
    log_opts: dict[str, str] = field(default_factory=dict)
    tls: bool = False
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    default_ulimits: tuple[str, ...] = ()
    default_shm_size: int = 64 << 20
    init: bool = False
    labels: tuple[str, ...] = ()
    cgroup_parent: str = "scow"
    shutdown_timeout: int = 15
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    default_runtime: str = NATIVE


# live-restore is what scow always does; saying so is no error
_ALWAYS_ON = {"live-restore": True}


def parse(arguments: Sequence[str]) -> Config:
    """Flags over the config file over the defaults. A setting given in both is refused, as dockerd does."""
    given = vars(_parser().parse_args(list(arguments)))
    file = given.pop("config_file", None)
    flags: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    if "log_opts" in flags:
        flags["log_opts"] = dict(_pair("--log-opt", word) for word in flags["log_opts"])
    if "runtimes" in flags:
        flags["runtimes"] = runtimes.of_words(flags["runtimes"])
    if "default_shm_size" in flags:
        flags["default_shm_size"] = size("--default-shm-size", flags["default_shm_size"])
    from_file = _read_file(file or DEFAULT_CONFIG_FILE, required=file is not None)
    if "default_address_pools" in flags:
        flags["default_address_pools"] = tuple(_pool(word) for word in flags["default_address_pools"])
    lists = {"insecure_registries", "registry_mirrors", "dns", "dns_search", "dns_opts", "labels", "hosts"}
    both = sorted((flags.keys() & from_file.keys()) - lists)
    if both:
        names = ", ".join(
            f"{name.replace('_', '-')}: (from flag: {flags[name]}, from file: {from_file[name]})" for name in both
        )
        raise InvalidArgument(
            f"the following directives are specified both as a flag and in the configuration file: {names}"
        )
    for name in lists & flags.keys() & from_file.keys():
        flags[name] = (*flags[name], *from_file.pop(name))
    return _check(replace(Config(), **from_file, **flags))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scow daemon",
        description="Run the scow daemon in the foreground.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-H", "--host", dest="hosts", action="append", metavar="HOST", help="socket to listen on (repeatable)")
    add("--config-file", metavar="FILE", help=f"configuration file (default {DEFAULT_CONFIG_FILE})")
    for name, text in (
        ("data-root", "where images and containers are kept (default /var/lib/scow)"),
        ("exec-root", "where the state of running containers is kept (default /run/scow)"),
        ("pidfile", "write the daemon's pid here"),
        ("group", "group of the unix socket"),
        ("bridge", "name of the bridge (default scow0)"),
        ("bip", "address and prefix of the bridge, e.g. 172.29.0.1/16"),
        ("ip", "address to publish ports at that name none (default: everywhere)"),
        ("publish-policy", "docker, loopback (ports that name no address) or host-firewall (its INPUT rules decide)"),
        ("log-driver", "default log driver (json-file or none)"),
        ("cgroup-parent", "cgroup below which containers live"),
        ("tlscacert", "CA certificate that clients must show"),
        ("tlscert", "the daemon's TLS certificate"),
        ("tlskey", "the daemon's TLS key"),
        ("default-shm-size", "default size of /dev/shm"),
        ("default-runtime", "runtime of containers that name none (default scow)"),
    ):
        add(f"--{name}", metavar="VALUE", help=text)
    add("-l", "--log-level", choices=_LEVELS)
    for name in ("mtu", "shutdown-timeout"):
        add(f"--{name}", type=int, metavar="N")
    for name, target in (
        ("insecure-registry", "insecure_registries"),
        ("registry-mirror", "registry_mirrors"),
        ("log-opt", "log_opts"),
        ("dns", "dns"),
        ("dns-search", "dns_search"),
        ("dns-opt", "dns_opts"),
        ("default-ulimit", "default_ulimits"),
        ("default-address-pool", "default_address_pools"),
        ("label", "labels"),
        ("add-runtime", "runtimes"),
    ):
        add(f"--{name}", dest=target, action="append", metavar="VALUE")
    add(
        "--icc",
        type=_boolean,
        nargs="?",
        const=True,
        metavar="BOOL",
        help="let containers on the bridge reach each other",
    )
    add("-D", "--debug", action="store_true")
    for name in ("tls", "tlsverify", "init"):
        add(f"--{name}", action="store_true")
    return parser


def _boolean(text: str) -> bool:
    """As Go reads one."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _read_file(path: str, *, required: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            data = stream.read(1 << 20)
    except FileNotFoundError:
        if required:
            raise InvalidArgument(f"unable to configure the daemon with file {path}: no such file") from None
        return {}
    try:
        document = json.loads(data)
    except ValueError as error:
        raise InvalidArgument(f"unable to configure the daemon with file {path}: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument(f"unable to configure the daemon with file {path}: not a JSON object")
    known = {item.name.replace("_", "-"): item for item in fields(Config)}
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key in _ALWAYS_ON:
            if value is not _ALWAYS_ON[key]:
                raise InvalidArgument(f"{path}: {key} cannot be switched off")
            continue
        if key not in known:
            raise InvalidArgument(f"the following directives don't match any configuration option: {key}")
        values[known[key].name] = _convert(path, key, value, getattr(Config(), known[key].name))
    return values


def _convert(path: str, key: str, value: object, default: object) -> object:
    """A JSON value as the field's type."""
    if key == "default-address-pools" and isinstance(value, list):
        return tuple(_checked_pool(item) for item in value)
    if key == "runtimes":
        return runtimes.of_file(value)
    if key == "default-ulimits" and isinstance(value, dict):
        return tuple(f"{name}={item['Soft']}:{item['Hard']}" for name, item in value.items())
    if key == "default-shm-size" and isinstance(value, str):
        return size(key, value)
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(default, dict) and isinstance(value, dict):
        return {str(name): str(item) for name, item in value.items()}
    if type(value) is type(default):
        return value
    raise InvalidArgument(f"{path}: {key} has a value of the wrong type: {value!r}")


def _pool(word: str) -> dict[str, Any]:
    """base=10.10.0.0/16,size=24"""
    return _checked_pool(dict(part.partition("=")[::2] for part in word.split(",")))


def _checked_pool(item: object) -> dict[str, Any]:
    """{"base": "10.10.0.0/16", "size": 24}"""
    try:
        assert isinstance(item, dict) and item.keys() == {"base", "size"}
        base, length = ipaddress.ip_network(str(item["base"])), int(item["size"])
        assert base.prefixlen <= length <= base.max_prefixlen - 2
    except (ValueError, AssertionError, TypeError):
        raise InvalidArgument(f"default-address-pools: want a base and a size of its parts, got {item!r}") from None
    return {"base": str(base), "size": length}


def _pair(flag: str, word: str) -> tuple[str, str]:
    name, separator, value = word.partition("=")
    if not separator:
        raise InvalidArgument(f"{flag}: {word!r} is not NAME=VALUE")
    return name, value


def size(name: str, text: str) -> int:
    """`64m`, `1g`, bytes."""
    match = _SIZE.match(str(text).strip().lower())
    if match is None:
        raise InvalidArgument(f"{name}: invalid size: '{text}'")
    return int(match[1]) << (10 * " kmgt".index(match[2])) if match[2] not in ("", "b") else int(match[1])


def _check(config: Config) -> Config:
    for name in ("data_root", "exec_root"):
        if not str(getattr(config, name)).startswith("/"):
            raise InvalidArgument(f"{name.replace('_', '-')} must be an absolute path: {getattr(config, name)!r}")
    if config.bip:
        try:
            ipaddress.IPv4Interface(config.bip)
        except ValueError:
            raise InvalidArgument(f"bip: not an IPv4 address with a prefix: {config.bip!r}") from None
    if config.publish_policy not in ("docker", "loopback", "host-firewall"):
        raise InvalidArgument(f"publish-policy: want docker, loopback or host-firewall, got {config.publish_policy!r}")
    for host in config.hosts:
        if not host.startswith(("unix://", "tcp://")):
            raise InvalidArgument(f"host: unix:// or tcp:// is wanted, got {host!r}")
    if config.mtu < 0 or config.mtu > 65535:
        raise InvalidArgument(f"mtu: {config.mtu} is out of range")
    for word in config.default_ulimits:
        if not re.fullmatch(r"[a-z]+=-?\d+(:-?\d+)?", word):
            raise InvalidArgument(f"default-ulimit: {word!r} is not NAME=SOFT[:HARD]")
    runtimes.check_default(config.runtimes, config.default_runtime)
    from scow.logs import validation

    validation.validate(config.log_driver, config.log_opts)
    return replace(
        config, hosts=config.hosts or ("unix:///run/scow.sock",), debug=config.debug or config.log_level == "debug"
    )
