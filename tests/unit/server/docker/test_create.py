"""Create bodies: every field is mapped or refused, and inspect gives back what was asked for."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from scow.api.config import Config
from scow.api.create import CreateBody
from scow.api.endpoint import EndpointIpam, EndpointSettings
from scow.api.host_config import HostConfig
from scow.errors import InvalidArgument
from scow.model.ports import Port, PortBinding
from scow.server.docker.convert import create, fields, mounts, ports
from scow.server.docker.convert.config import show_config
from scow.server.docker.convert.host import show_host
from tests.golden.api.shapes import FULL


def names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def request(**body: Any) -> Any:
    return create.to_request(msgspec.convert({"Image": "busybox", **body}, CreateBody), "n", "")


def host(**options: Any) -> Any:
    return request(HostConfig=options).host


def refusal(**body: Any) -> str:
    with pytest.raises(InvalidArgument) as caught:
        request(**body)
    return caught.value.message


# ---------------------------------------------------------------- completeness


def test_every_field_has_its_entry() -> None:
    assert names(Config) == fields.CONFIG_MAPPED
    assert names(HostConfig) == fields.HOST_MAPPED | fields.HOST_REFUSED
    assert not fields.HOST_MAPPED & fields.HOST_REFUSED
    assert names(EndpointSettings) == fields.ENDPOINT_MAPPED | fields.ENDPOINT_REFUSED | fields.ENDPOINT_FACTS
    assert names(EndpointIpam) == fields.IPAM_REFUSED | {"IPv4Address", "IPv6Address"}


SET: dict[str, Any] = {
    "BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 1}],
    "BlkioDeviceReadIOps": [{"Path": "/dev/null", "Rate": 1}],
    "BlkioDeviceWriteBps": [{"Path": "/dev/null", "Rate": 1}],
    "BlkioDeviceWriteIOps": [{"Path": "/dev/null", "Rate": 1}],
    "BlkioWeightDevice": [{"Path": "/dev/null", "Weight": 1}],
    "Cgroup": "x",
    "CpuCount": 1,
    "CpuPercent": 1,
    "CpuRealtimePeriod": 1,
    "CpuRealtimeRuntime": 1,
    "DeviceRequests": [{"Driver": "nvidia"}],
    "IOMaximumBandwidth": 1,
    "IOMaximumIOps": 1,
    "Isolation": "hyperv",
    "KernelMemory": 1,
    "KernelMemoryTCP": 1,
    "Links": ["a:b"],
    "StorageOpt": {"size": "1G"},
}


@pytest.mark.parametrize("name", sorted(fields.HOST_REFUSED))
def test_refused_fields_are_refused_by_name(name: str) -> None:
    assert refusal(HostConfig={name: SET[name]}) == f"HostConfig.{name} is not supported by scow"


def test_refused_fields_with_their_defaults_are_taken() -> None:
    """What the docker CLI sends for options that nobody gave."""
    defaults = {
        "BlkioWeightDevice": [], "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": None, "DeviceRequests": None, "Links": None,
        "Isolation": "default", "KernelMemory": 0, "KernelMemoryTCP": 0, "CpuCount": 0, "StorageOpt": {}, "Cgroup": "",
        "IOMaximumIOps": 0,
    }  # fmt: skip
    host(**defaults)


@pytest.mark.parametrize("name", sorted(fields.HOST_MAPPED - {"ContainerIDFile"}))
def test_mapped_fields_change_the_record(name: str) -> None:
    """No mapped field can be dropped on the way."""
    values: dict[str, Any] = {
        **FULL["HostConfig"],  # type: ignore[dict-item]
        "NetworkMode": "none", "PublishAllPorts": True, "AutoRemove": True, "VolumesFrom": ["x"], "ConsoleSize": [3, 4],
        "CgroupnsMode": "host", "IpcMode": "host", "PidMode": "host", "UTSMode": "host", "UsernsMode": "host",
        "OomScoreAdj": 5, "Privileged": True, "Runtime": "scow", "CpuShares": 1, "NanoCpus": 1, "CgroupParent": "/x",
        "BlkioWeight": 10, "CpuPeriod": 1, "CpuQuota": 1, "CpusetCpus": "0", "CpusetMems": "0", "MemoryReservation": 1,
        "MemorySwap": 1, "MemorySwappiness": 1, "OomKillDisable": True, "DeviceCgroupRules": ["c 1:3 r"],
        "DnsOptions": ["a"], "DnsSearch": ["b"], "MaskedPaths": [], "ReadonlyPaths": [], "HealthOnFailure": "kill",
        "Links": ["a:b"],
    }  # fmt: skip
    if name == "VolumeDriver":
        assert host(Binds=["v:/x"], VolumeDriver="local") != host(Binds=["v:/x"])
        return
    assert host(**{name: values[name]}) != host()


@pytest.mark.parametrize("name", sorted(fields.CONFIG_MAPPED - {"Image"}))
def test_config_fields_change_the_record(name: str) -> None:
    values: dict[str, Any] = {
        **FULL, "Domainname": "d", "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "StdinOnce": True,
        "Healthcheck": {"Test": ["NONE"]}, "ArgsEscaped": True, "Volumes": {"/v": {}}, "Entrypoint": ["e"],
        "NetworkDisabled": True, "MacAddress": "02:42:00:00:00:01", "OnBuild": ["RUN x"], "Shell": ["/bin/sh"],
    }  # fmt: skip
    assert request(**{name: values[name]}).config != request().config


def test_a_health_check_is_taken_over() -> None:
    assert request(Healthcheck={"Test": ["CMD", "true"], "Retries": 2}).config.healthcheck.retries == 2
    assert request(Healthcheck={}).config.healthcheck.test == ()


# ---------------------------------------------------------------- there and back


def test_inspect_shows_what_was_asked_for() -> None:
    made = request(**{name: value for name, value in FULL.items() if name != "Image"})
    shown = msgspec.to_builtins(show_host(made.host))
    wanted: Any = FULL["HostConfig"]
    for name, value in wanted.items():
        assert shown[name] == value, name
    config = msgspec.to_builtins(show_config(made.config))
    for name, value in FULL.items():
        if name != "HostConfig":
            assert config[name] == value, name


def test_an_empty_list_and_an_absent_one_are_told_apart() -> None:
    shown = show_host(host(Dns=[], Devices=[], Binds=[]))
    assert (shown.Dns, shown.Devices, shown.Binds, shown.DnsSearch, shown.Ulimits) == ([], [], [], None, None)


def test_defaults_that_clients_spell_out() -> None:
    made = host(MemorySwappiness=-1, PidsLimit=0, NetworkMode="", RestartPolicy={"Name": ""}, OomKillDisable=None)
    assert made.resources.memory_swappiness is None
    assert made.resources.pids_limit is None
    assert (made.network_mode, made.restart_policy.name) == ("default", "no")


def test_a_command_may_be_one_string() -> None:
    made = request(Cmd="echo hi", Entrypoint="e").config
    assert (made.cmd, made.entrypoint) == (("echo hi",), ("e",))
    assert (request(Cmd=[]).config.cmd, request().config.cmd) == ((), None)


@pytest.mark.parametrize("size", [[1], [1, 2, 3], [70000, 1]])
def test_console_sizes(size: list[int]) -> None:
    assert "ConsoleSize" in refusal(HostConfig={"ConsoleSize": size})


# ---------------------------------------------------------------- -v: sentences of dockerd 26.1

BINDS = {
    "relative:relative": "invalid volume specification: 'relative:relative': invalid mount config for type \"volume\": "
    "invalid mount path: 'relative' mount path must be absolute",
    "/a:b": "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
    "invalid mount path: 'b' mount path must be absolute",
    "/a:/b:bogus": "invalid mode: bogus",
    "a:/b:c:d": "invalid volume specification: 'a:/b:c:d'",
    "/foo:ro": "invalid volume specification: '/foo:ro'",
    "": "invalid volume specification: ''",
    "/a:/": "invalid volume specification: '/a:/': invalid mount config for type \"bind\": "
    "invalid specification: destination can't be '/'",
    "vol:/x:ro,rw": "invalid mode: ro,rw",
    "/a:/x:nocopy": "invalid volume specification: '/a:/x:nocopy': invalid mount config for type \"bind\": "
    "field VolumeOptions must not be specified",
    "v:/x:rshared": "invalid volume specification: 'v:/x:rshared': invalid mount config for type \"volume\": "
    "field BindOptions must not be specified",
    ":/x": "invalid volume specification: ':/x'",
    "/a::ro": "invalid volume specification: '/a::ro': invalid mount config for type \"bind\": field Target must not be empty",
    "/a:/x:ro,ro": "invalid mode: ro,ro",
}


@pytest.mark.parametrize("spec", BINDS)
def test_bad_binds(spec: str) -> None:
    assert refusal(HostConfig={"Binds": [spec]}) == BINDS[spec]


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("/anon", {"kind": "volume", "source": "", "target": "/anon"}),
        ("/a:/x:", {"kind": "bind", "source": "/a", "target": "/x", "create_source": True}),
        ("/a:/x:rshared", {"propagation": "rshared", "read_only": False}),
        ("vol:/x:z,nocopy", {"kind": "volume", "source": "vol", "no_copy": True, "mode": "z,nocopy"}),
        ("/usr:/x:cached,ro", {"read_only": True}),
        ("/usr:/x:rw,Z,slave", {"read_only": False, "propagation": "slave"}),
    ],
)
def test_good_binds(spec: str, wanted: dict[str, Any]) -> None:
    wish = mounts.parse_bind(spec)
    assert {name: getattr(wish, name) for name in wanted} == wanted


@given(st.text(alphabet="ab/:.,rowzZ ", max_size=30))
def test_any_bind_is_a_wish_or_a_sentence(spec: str) -> None:
    try:
        wish = mounts.parse_bind(spec)
    except InvalidArgument as error:
        assert error.message.startswith(("invalid volume specification: '", "invalid mode: "))
    else:
        assert wish.target.startswith("/")
        assert (wish.kind == "bind") == wish.source.startswith("/")


# ---------------------------------------------------------------- --mount and --tmpfs

MOUNTS = [
    ({"Type": "bind", "Target": "/m"}, 'invalid mount config for type "bind": field Source must not be empty'),
    (
        {"Type": "bind", "Source": "rel", "Target": "/m"},
        "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
    ),
    (
        {"Type": "bind", "Source": "/usr", "Target": "m"},
        "invalid mount config for type \"bind\": invalid mount path: 'm' mount path must be absolute",
    ),
    (
        {"Type": "bind", "Source": "/usr", "Target": "/"},
        "invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
    ),
    ({"Type": "bind", "Source": "/usr"}, 'invalid mount config for type "bind": field Target must not be empty'),
    ({"Type": "foo", "Target": "/m"}, 'invalid mount config for type "foo": mount type unknown'),
    ({"Target": "/m"}, 'invalid mount config for type "": mount type unknown'),
    (
        {"Type": "tmpfs", "Target": "/m", "Source": "x"},
        'invalid mount config for type "tmpfs": field Source must not be specified',
    ),
    (
        {"Type": "bind", "Source": "/usr", "Target": "/m", "BindOptions": {"Propagation": "xx"}},
        'invalid mount config for type "bind": invalid propagation mode: xx',
    ),
    (
        {"Type": "bind", "Source": "/usr", "Target": "/m", "VolumeOptions": {"NoCopy": True}},
        'VolumeOptions must not be specified on mount type "bind"',
    ),
    (
        {"Type": "volume", "Source": "v", "Target": "/m", "BindOptions": {}},
        'BindOptions must not be specified on mount type "volume"',
    ),
    (
        {"Type": "volume", "Target": "/m", "VolumeOptions": {"Subpath": "a"}},
        "VolumeOptions.Subpath is not supported by scow",
    ),
    (
        {"Type": "image", "Source": "busybox", "Target": "/m"},
        'invalid mount config for type "image": mount type unknown',
    ),
]


@pytest.mark.parametrize(("mount", "sentence"), MOUNTS)
def test_bad_mounts(mount: dict[str, Any], sentence: str) -> None:
    assert refusal(HostConfig={"Mounts": [mount]}) == sentence


@pytest.mark.parametrize(
    "mount",
    [
        {"Type": "bind", "Source": "/usr", "Target": "/m"},
        {"Type": "bind", "Source": "/usr", "Target": "/m", "ReadOnly": True, "BindOptions": {"Propagation": "rslave"}},
        {
            "Type": "bind",
            "Source": "/n",
            "Target": "/m",
            "BindOptions": {"CreateMountpoint": True, "NonRecursive": True},
        },
        {"Type": "volume", "Target": "/m"},
        {
            "Type": "volume",
            "Source": "v",
            "Target": "/m",
            "VolumeOptions": {
                "NoCopy": True,
                "Labels": {"a": "b"},
                "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs"}},
            },
        },
        {"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1048576, "Mode": 0o1770}},
    ],
)
def test_mounts_come_back_as_they_were_given(mount: dict[str, Any]) -> None:
    assert msgspec.to_builtins(show_host(host(Mounts=[mount])).Mounts) == [mount]


def test_tmpfs_maps() -> None:
    made = host(Tmpfs={"/t": "size=1m,mode=700", "/u": ""})
    assert [(w.kind, w.target, w.options) for w in made.mounts] == [
        ("tmpfs", "/t", ("size=1m", "mode=700")),
        ("tmpfs", "/u", ()),
    ]
    assert show_host(made).Tmpfs == {"/t": "size=1m,mode=700", "/u": ""}
    assert refusal(HostConfig={"Tmpfs": {"t": ""}}) == "invalid mount path: 't' mount path must be absolute"


# ---------------------------------------------------------------- ports


@pytest.mark.parametrize("text", ["1-", "99999", "a", "-1", "8010-8000", "1-2-3", "٣", "1 "])
def test_bad_host_ports(text: str) -> None:
    assert (
        refusal(HostConfig={"PortBindings": {"80/tcp": [{"HostPort": text}]}})
        == f'invalid port specification: "{text}"'
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("abc/tcp", 'invalid port specification: "abc"'),
        ("80-81/tcp", 'invalid port specification: "80-81"'),
        ("0/tcp", 'invalid port specification: "0"'),
        ("65536", 'invalid port specification: "65536"'),
        ("80/foo", "invalid proto: foo"),
    ],
)
def test_bad_container_ports(text: str, sentence: str) -> None:
    assert refusal(HostConfig={"PortBindings": {text: [{}]}}) == sentence


def test_bindings_and_exposed_ports() -> None:
    made = request(
        ExposedPorts={"7000-7002/udp": {}, "80": {}},
        HostConfig={
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}, {"HostIp": "::1"}], "81/tcp": [], "82/tcp": None}
        },
    )
    eighty = Port(80)
    assert made.host.port_bindings == (PortBinding(eighty, "", "8080"), PortBinding(eighty, "::1", ""))
    wanted = ["7000/udp", "7001/udp", "7002/udp", "80/tcp", "81/tcp", "82/tcp"]
    assert [str(port) for port in made.config.exposed_ports] == wanted


@given(st.text(max_size=12))
def test_any_port_is_one_or_refused(text: str) -> None:
    try:
        port = ports.parse_port(text)
    except InvalidArgument:
        return
    assert 1 <= port.number <= 65535
    assert ports.parse_port(str(port)) == port


# ---------------------------------------------------------------- networks


def test_endpoint_wishes() -> None:
    made = request(
        NetworkingConfig={
            "EndpointsConfig": {
                "n": {
                    "IPAMConfig": {"IPv4Address": "1.2.3.4"},
                    "Aliases": ["a"],
                    "MacAddress": "m",
                    "NetworkID": "x",
                    "Links": ["b:c"],
                }
            }
        }
    )
    wish = made.networking["n"]
    assert (wish.ipv4, wish.mac_address, wish.aliases, wish.links) == ("1.2.3.4", "m", ("a",), ("b:c",))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (None, "invalid config for network n: EndpointsConfig is nil"),
        ({"DriverOpts": {"a": "b"}}, "EndpointsConfig.n.DriverOpts is not supported by scow"),
    ],
)
def test_endpoint_refusals(settings: Any, sentence: str) -> None:
    assert refusal(NetworkingConfig={"EndpointsConfig": {"n": settings}}) == sentence


def test_unset_is_not_a_value_of_the_domain() -> None:
    made = request()
    for record in (made.config, made.host):
        assert UNSET not in [getattr(record, name) for name in record.__slots__]
