"""What is shown: times, states, ports, errors, routes, progress lines."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from scow import errors as kinds
from scow.engine.ports import PullProgress
from scow.model.container import Container, ContainerConfig, HostConfig, Status
from scow.model.ports import Port, PublishedPort
from scow.server.docker import errors, progress, routes
from scow.server.docker.convert import listing, times

SECOND = 10**9
ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1795492524380521752, "2026-11-24T03:55:24.380521752Z"),
        (1795492524 * SECOND, "2026-11-24T03:55:24Z"),
        (1795492524 * SECOND + 500_000_000, "2026-11-24T03:55:24.5Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
    ],
)
def test_times(ns: int, text: str) -> None:
    assert times.rfc3339(ns) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"), (0.9, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (119, "About a minute"), (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (5399, "About an hour"),
        (5400, "2 hours"), (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (13 * 86400, "13 days"), (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"), (60 * 86400, "2 months"), (729 * 86400, "24 months"), (730 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_elapsed(seconds: float, text: str) -> None:
    assert times.elapsed(int(seconds * SECOND)) == text


NOW = 1000 * SECOND


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (Status(), "Created"),
        (Status("running", started_at=NOW - 2 * SECOND), "Up 2 seconds"),
        (Status("paused", started_at=NOW - 120 * SECOND), "Up 2 minutes (Paused)"),
        (Status("exited", exit_code=0, finished_at=NOW - 180 * SECOND), "Exited (0) 3 minutes ago"),
        (Status("exited", exit_code=137, finished_at=NOW), "Exited (137) Less than a second ago"),
        (Status("restarting", exit_code=1, finished_at=NOW - 5 * SECOND), "Restarting (1) 5 seconds ago"),
        (Status("removing"), "Removal In Progress"),
        (Status("dead"), "Dead"),
    ],
)
def test_status_texts(status: Status, text: str) -> None:
    assert listing.status_text(status, NOW) == text


def container(**status: object) -> Container:
    config = ContainerConfig(exposed_ports=(Port(80), Port(443), Port(53, "udp")))
    return Container("a" * 64, "n", 0, "sha256:i", "i", config, HostConfig(), status=Status("running", pid=1, **status))  # type: ignore[arg-type]


def test_ports_of_the_list() -> None:
    published = (
        PublishedPort(Port(53, "udp"), "0.0.0.0", 5353),
        PublishedPort(Port(80), "127.0.0.1", 8080),
        PublishedPort(Port(80), "::1", 8081),
    )
    shown = [
        (p.PrivatePort, p.Type, p.IP or None, p.PublicPort or None)
        for p in listing.show_port_list(container(published=published))
    ]
    assert shown == [
        (80, "tcp", "127.0.0.1", 8080), (80, "tcp", "::1", 8081), (443, "tcp", None, None), (53, "udp", "0.0.0.0", 5353),
    ]  # fmt: skip
    assert listing.show_port_list(replace(container(), status=Status("exited"))) == []


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (kinds.InvalidArgument("x"), 400),
        (kinds.Unauthenticated("x"), 401),
        (kinds.Forbidden("x"), 403),
        (kinds.NotFound("x"), 404),
        (kinds.Conflict("x"), 409),
        (kinds.NotModified("x"), 304),
        (kinds.Unsupported("x"), 501),
        (kinds.Unavailable("x"), 503),
        (kinds.ResourceExhausted("x"), 500),
        (kinds.DataLoss("x"), 500),
        (kinds.Internal("x"), 500),
        (kinds.ScowError("x"), 500),
        (kinds.StartFailure('exec: "nosuch": executable file not found in $PATH: unknown'), 400),
        (kinds.StartFailure('exec: "/etc/passwd": permission denied: unknown'), 400),
        (kinds.StartFailure('exec: "/x": stat /x: no such file or directory: unknown'), 400),
        (kinds.StartFailure("cgroup: device or resource busy"), 500),
    ],
)
def test_statuses(error: kinds.ScowError, status: int) -> None:
    assert errors.status_of(error) == status


def test_every_kind_has_a_status() -> None:
    found = {kind for kind in vars(kinds).values() if isinstance(kind, type) and issubclass(kind, kinds.ScowError)}
    missing = found - set(errors._STATUS) - {kinds.ScowError, kinds.StartFailure}
    assert not missing


def test_a_subclass_has_its_kinds_status() -> None:
    class Special(kinds.NotFound):
        pass

    assert errors.status_of(Special("x")) == 404


def test_the_body_is_json_whatever_the_message() -> None:
    assert errors.body_of('a "b"\n\\c') == b'{"message":"a \\"b\\"\\n\\\\c"}\n'


# ---------------------------------------------------------------- routes


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/containers/json", ("GET /containers/json", "")),
        ("GET", "/containers/json/json", ("GET /containers/*/json", "json")),
        ("DELETE", "/containers/json", ("DELETE /containers/*", "json")),
        ("GET", "/containers/x/attach/ws", ("GET /containers/*/attach/ws", "x")),
        ("POST", "/images/127.0.0.1:5000/a/b/tag", ("POST /images/*/tag", "127.0.0.1:5000/a/b")),
        ("DELETE", "/images/a/b:1", ("DELETE /images/*", "a/b:1")),
        ("GET", "/images/a/b@sha256:x/json", ("GET /images/*/json", "a/b@sha256:x")),
        ("GET", "/networks/bridge", ("GET /networks/*", "bridge")),
        ("POST", "/networks/prune", ("POST /networks/prune", "")),
        ("HEAD", "/_ping", ("HEAD /_ping", "")),
    ],
)
def test_routes(method: str, path: str, wanted: tuple[str, str]) -> None:
    assert routes.find(method, path) == (routes.ROUTES[wanted[0]], wanted[1])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nosuch"),
        ("PUT", "/info"),
        ("HEAD", "/info"),
        ("GET", "/info/"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/networks/"),
        ("GET", "info"),
    ],
)
def test_no_route(method: str, path: str) -> None:
    assert routes.find(method, path) is None


def test_every_operation_of_the_api_has_a_route_and_a_state() -> None:
    """The table in docs/compat says what each of the operations does; it must match the routes."""
    import subprocess
    import sys

    done = subprocess.run([sys.executable, str(ROOT / "docs/compat/check")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------- progress


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (
            PullProgress("Pulling from library/busybox", "latest"),
            '{"status":"Pulling from library/busybox","id":"latest"}',
        ),
        (PullProgress("Pulling fs layer", "abc"), '{"status":"Pulling fs layer","progressDetail":{},"id":"abc"}'),
        (PullProgress("Digest: sha256:x"), '{"status":"Digest: sha256:x"}'),
        (
            PullProgress("Downloading", "abc", 1_200_000, 2_400_000),
            '{"status":"Downloading","progressDetail":{"current":1200000,"total":2400000},'
            '"progress":"[' + "=" * 25 + ">" + " " * 25 + ']    1.2MB/2.4MB","id":"abc"}',
        ),
    ],
)
def test_progress_lines(step: PullProgress, line: str) -> None:
    assert progress.line(step).decode() == line + "\r\n"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.234kB"),
        (123456, "123.5kB"),
        (10**9, "1GB"),
        (10**18, "1000PB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert progress.human_size(size) == text


def test_a_bar_never_overflows() -> None:
    assert re.fullmatch(r"\[={50}> {0}\] +3B", progress.bar(3, 2))
    assert progress.bar(5, 0) == "      5B"
