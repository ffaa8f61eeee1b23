"""Sizes, durations, ports, mounts, devices, networks: what is understood, and that anything else is a ValueError."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.cli import values
from scow.cli.mounts import absolute, csv_fields, parse_device, parse_mount, parse_tmpfs, parse_volume
from scow.cli.networks import parse_network
from scow.cli.ports import expose, publish
from scow.cli.streams import DetachKeys, parse_detach_keys
from scow.cli.timestamps import days, for_api, parse
from scow.cli.units import binary_size, ellipsis, human_size

SPECS = st.text(alphabet="0123456789:-/.[]abtcpudnfx,= \"'kKmMgG%é", max_size=24)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("1k", 1024),
        ("1K", 1024),
        ("64m", 64 << 20),
        ("1.5GiB", 3 << 29),
        ("2 gb", 2 << 30),
        ("1.b", 1),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert values.size(text) == size


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("1h2m3.5s", 3723500000000),
        ("-1.5ms", -1500000),
        ("1us", 1000),
        ("1µs", 1000),
        (".5s", 5 * 10**8),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert values.duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "billionths"),
    [("1", 10**9), (".5", 5 * 10**8), ("1.000000001", 1000000001), ("1/2", 5 * 10**8), ("2e-1", 2 * 10**8)],
)
def test_cpus(text: str, billionths: int) -> None:
    assert values.decimal(text) == billionths


def test_ports() -> None:
    exposed, bindings = publish(
        ["80", "8080:80", "127.0.0.1::81/udp", "[::1]:1-2:1-2", "90-91:7", "published=5,target=6"]
    )
    assert bindings["80/tcp"] == [{"HostIp": "", "HostPort": ""}, {"HostIp": "", "HostPort": "8080"}]
    assert bindings["81/udp"] == [{"HostIp": "127.0.0.1", "HostPort": ""}]
    assert bindings["2/tcp"] == [{"HostIp": "::1", "HostPort": "2"}]
    assert bindings["7/tcp"] == [{"HostIp": "", "HostPort": "90-91"}]
    assert bindings["6/tcp"] == [{"HostIp": "", "HostPort": "5"}]
    assert exposed.keys() == bindings.keys()
    assert expose(["80", "1-3/udp"]) == ["80/tcp", "1/udp", "2/udp", "3/udp"]


@given(st.integers(0, 65535), st.integers(0, 65535), st.sampled_from(["tcp", "udp", "sctp"]))
def test_every_port_pair_is_understood(host: int, container: int, protocol: str) -> None:
    _, bindings = publish([f"{host}:{container}/{protocol}"])
    assert bindings == {f"{container}/{protocol}": [{"HostIp": "", "HostPort": str(host)}]}


def test_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posix.getcwd", lambda: "/w")
    assert parse_volume("/a:/b:ro") == ("/a:/b:ro", "")
    assert parse_volume("name:/b") == ("name:/b", "")
    assert parse_volume("/anon") == ("", "/anon")
    assert parse_volume("./x/../y:/b") == ("/w/y:/b", "")
    assert absolute("../..") == "/"


def test_mounts() -> None:
    assert parse_mount("type=bind,src=/a,dst=/b,ro,bind-propagation=RSHARED") == {
        "Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True, "BindOptions": {"Propagation": "rshared"},
    }  # fmt: skip
    assert parse_mount('type=tmpfs,"target=/a,b",tmpfs-size=1m,tmpfs-mode=1770') == {
        "Type": "tmpfs", "Target": "/a,b", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770},
    }  # fmt: skip
    volume = parse_mount("dst=/a,volume-opt=o=size=1,volume-driver=d,volume-label=x,volume-nocopy,volume-subpath=s")
    assert volume["VolumeOptions"] == {
        "DriverConfig": {"Name": "d", "Options": {"o": "size=1"}}, "Labels": {"x": ""}, "NoCopy": True, "Subpath": "s",
    }  # fmt: skip


def test_csv() -> None:
    assert csv_fields('a,"b,""c""",,d') == ["a", 'b,"c"', "", "d"]
    for wrong in ('a"b', '"a', '"a"b', ""):
        with pytest.raises(ValueError):
            csv_fields(wrong)


def test_devices_and_tmpfs() -> None:
    assert parse_device("/dev/a:/dev/b:r") == {
        "PathOnHost": "/dev/a",
        "PathInContainer": "/dev/b",
        "CgroupPermissions": "r",
    }
    assert parse_device("/dev/a:rw")["CgroupPermissions"] == "rw"
    assert parse_device("/dev/a")["PathInContainer"] == "/dev/a"
    assert parse_tmpfs("/a:size=1,mode=2:x") == ("/a", "size=1,mode=2:x")


def test_networks() -> None:
    network = parse_network("name=n,alias=a,alias=b,ip=1.2.3.4,driver-opt=k=v,mac-address=m")
    assert (network["Target"], network["Aliases"], network["IPv4"], network["DriverOpts"], network["MAC"]) == (
        "n", ["a", "b"], "1.2.3.4", {"k": "v"}, "m",
    )  # fmt: skip
    assert parse_network("host")["Target"] == "host"


PARSERS: list[Callable[[str], object]] = [
    values.size, values.duration, values.decimal, values.ulimit, values.gpus, values.device_rate, values.device_weight,
    values.device_operations, lambda text: publish([text]), lambda text: expose([text]), parse_volume, parse_mount,
    parse_device, parse_network, csv_fields, parse_detach_keys, for_api, *values.LIST_CHECKS.values(),
]  # fmt: skip


@given(st.sampled_from(PARSERS), SPECS | st.text())
def test_any_text_is_understood_or_a_value_error(parser: Callable[[str], object], text: str) -> None:
    try:
        parser(text)
    except ValueError:
        pass


@given(st.binary(max_size=30), st.lists(st.integers(1, 4), max_size=30))
def test_detach_keys_are_found_in_any_cut(data: bytes, cuts: list[int]) -> None:
    keys = b"\x10\x11"
    typed = data.replace(b"\x10", b"p") + keys + b"tail"
    finder, out, at = DetachKeys(keys), b"", 0
    for cut in [*cuts, len(typed)]:
        if finder.seen:
            break
        out += finder.feed(typed[at : at + cut])
        at += cut
    assert (finder.seen, out) == (True, data.replace(b"\x10", b"p"))


@given(st.binary(max_size=40))
def test_what_is_no_detach_sequence_comes_through(data: bytes) -> None:
    finder = DetachKeys(b"\x10\x11")
    out = finder.feed(data) + finder.feed(b"x")
    if b"\x10\x11" not in data:
        assert (out, finder.seen) == (data + b"x", False)


def test_detach_key_names() -> None:
    assert parse_detach_keys("") == b"\x10\x11"
    assert parse_detach_keys("ctrl-a,d,ctrl-[,DEL") == b"\x01d\x1b\x7f"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2013-01-02T13:23:37Z", "1357133017.000000000"),
        ("2013-01-02T13:23:37.5+02:00", "1357125817.500000000"),
        ("1700000000.25", "1700000000.25"),
        ("1700000000", "1700000000"),
        ("10s", "90"),
    ],
)
def test_points_in_time(text: str, seconds: str) -> None:
    assert for_api(text, now=100.0) == seconds


@given(st.datetimes())
def test_days_are_those_of_the_calendar(moment: object) -> None:
    from datetime import UTC, datetime

    assert isinstance(moment, datetime)
    utc = moment.replace(tzinfo=UTC, microsecond=0)
    assert days(utc.year, utc.month, utc.day) == (utc - datetime(1970, 1, 1, tzinfo=UTC)).days
    assert parse(utc.strftime("%Y-%m-%dT%H:%M:%SZ") if utc.year > 999 else "2000-01-01T00:00:00Z") is not None


def test_sizes_for_people() -> None:
    assert [human_size(n) for n in (0, 999, 1000, 1984603, 267412345, 10**12)] == [
        "0B", "999B", "1kB", "1.98MB", "267MB", "1TB",
    ]  # fmt: skip
    assert binary_size(25274839040) == "23.54GiB"
    assert [ellipsis("abcdef", n) for n in (0, 1, 3, 6)] == ["", "a", "ab…", "abcdef"]
    assert ellipsis("日本語", 5) == "日本…"
