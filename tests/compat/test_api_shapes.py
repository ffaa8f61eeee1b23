"""A real daemon's answers have the keys and types that dockerd 26.1 gives for the same calls, and its errors the
sentences.
"""

import http.client
import json
import socket
import urllib.parse
from typing import Any

import pytest

from tests.golden.api import shapes
from tests.harness.clients import Clients

# What differs on purpose, or by machine.
IGNORED = frozenset(
    {
        # the fields of the reference that its own build or machine puts in
        ".KernelMemoryTCP", ".Runtimes.*.status", ".CDISpecDirs", ".ProductLicense", ".RegistryConfig.Mirrors",
        ".HostChanges",  # scow's own: see docs/compat
        ".GraphDriver.Data", ".Warnings", "[].Labels", ".Config.Labels",
        # df of the reference knows other objects
        ".Images", ".Containers", ".Volumes", "[].SizeRw", ".SizeRw", "[].RepoDigests", ".RepoDigests", "[].Tags",
    }
)  # fmt: skip


def api_of(host: str) -> shapes.Api:
    path = host.removeprefix("unix://")

    def api(method: str, target: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        connection.sock.connect(path)
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if data else {}
        connection.request(method, urllib.parse.quote(target, safe="/?&=%"), data, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text.strip() else None

    return api


def test_shapes_are_dockers(clean: Clients) -> None:
    given, wanted = shapes.record(api_of(clean.host)), shapes.load()
    assert given.keys() == wanted.keys()
    lines = [f"{name}{line}" for name in wanted for line in shapes.differences(wanted[name], given[name], "", IGNORED)]
    assert not lines, "\n".join(lines)
    order = [f"{name}{line}" for name in wanted for line in shapes.misordered(wanted[name], given[name])]
    assert not order, "\n".join(order)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"Memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"MemorySwap": 1}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
        ({"NanoCpus": 10, "CpuQuota": 5}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        ({"CpusetCpus": "abc"}, "Invalid value abc for cpuset cpus"),
        (
            {"RestartPolicy": {"Name": "always"}, "AutoRemove": True},
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        ({"CapAdd": ["NOPE"]}, 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
        ({"PidMode": "bogus"}, "invalid PID mode: bogus"),
        ({"Binds": ["/usr:/t", "/lib:/t"]}, "Duplicate mount point: /t"),
        ({"Mounts": [{"Type": "bind", "Source": "/nope", "Target": "/m"}]}, "bind source path does not exist: /nope"),
        (
            {"LogConfig": {"Type": "json-file", "Config": {"nosuch": "1"}}},
            "unknown log opt 'nosuch' for json-file log driver",
        ),
        ({"Runtime": "nosuch"}, "unknown or invalid runtime name: nosuch"),
        ({"Binds": ["a/b:/y"]}, 'create a/b: "a/b" includes invalid characters for a local volume name'),
    ],
)
def test_create_refuses_with_dockers_sentences(clean: Clients, options: dict[str, Any], sentence: str) -> None:
    """As dockerd 26.1 says them (observed on one)."""
    status, answer = api_of(clean.host)(
        "POST", "/containers/create?name=refused", {"Image": "busybox", "HostConfig": options}
    )
    assert status in (400, 500)
    assert sentence in answer["message"]
    assert clean.api("GET", "/containers/refused/json").status == 404
