"""The document for external runtimes and what is read of their logs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument, NotFound
from scow.linux import capabilities
from scow.runtime.external import document
from scow.runtime.external.trouble import failure, last_error


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nmail:x:8:app\n")
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def spec(**process: Any) -> dict[str, Any]:
    return {
        "ociVersion": "1.1.0",
        "process": {
            "terminal": False,
            "user": {"username": ""},
            "args": ["true"],
            "env": ["A=b"],
            "cwd": "/",
            **process,
        },
        "root": {"path": "/r", "readonly": False},
        "hostname": "",
        "domainname": "dd",
        "annotations": {"org.scow.rlimits.explicit": "RLIMIT_CORE", "a": "b"},
        "mounts": [],
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "network"}, {"type": "uts"}],
            "rootfsPropagation": "rprivate",
        },
    }


def test_the_document(root: int) -> None:
    found = document.container(spec(), root, "/proc/7/fd/9")
    assert found["ociVersion"] == "1.0.2" and "hostname" not in found and "domainname" not in found
    assert found["annotations"] == {"a": "b"}
    assert found["linux"] == {
        "namespaces": [{"type": "mount"}, {"type": "network", "path": "/proc/7/fd/9"}, {"type": "uts"}],
        "sysctl": {"kernel.domainname": "dd"},
    }
    assert found["process"]["user"] == {"uid": 0, "gid": 0, "additionalGids": [0]}
    assert found["process"]["env"] == ["A=b", "HOME=/root"]


def test_the_engines_document_stays_as_it_is(root: int) -> None:
    given_one = spec()
    before = json.dumps(given_one)
    document.container(given_one, root, "/x")
    assert json.dumps(given_one) == before


def test_without_an_own_uts_namespace_no_domain_name_is_set(root: int) -> None:
    wanted = spec()
    wanted["linux"]["namespaces"] = [{"type": "mount"}]
    assert "sysctl" not in document.container(wanted, root, None)["linux"]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"username": "app"}, {"uid": 1000, "gid": 1000, "additionalGids": [1000, 8]}),
        ({"username": "app:mail", "additionalGids": ["5"]}, {"uid": 1000, "gid": 8, "additionalGids": [8, 5]}),
        ({"uid": 7, "gid": 7}, {"uid": 7, "gid": 7, "additionalGids": [7]}),
    ],
)
def test_users_are_numbers(root: int, user: dict[str, Any], expected: dict[str, Any]) -> None:
    wanted = spec(user=user, privileged=True)
    found = document.process(wanted, wanted["process"], root)
    assert found["user"] == expected and "privileged" not in found


def test_what_cannot_be_is_refused(root: int) -> None:
    for process, kind in (({"user": {"username": "x"}}, NotFound), ({"args": []}, InvalidArgument)):
        wanted = spec(**process)
        with pytest.raises(kind):
            document.process(wanted, wanted["process"], root)


def test_default_limits_give_way(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 2**50
    limits = [{"type": f"RLIMIT_{name}", "soft": most, "hard": most} for name in ("NOFILE", "CORE")]
    wanted = spec(rlimits=limits)
    monkeypatch.setattr(capabilities, "granted", lambda: 0)
    nofile, core = document.process(wanted, wanted["process"], root)["rlimits"]
    assert nofile["hard"] < most and core["hard"] == most  # the user asked for CORE himself
    monkeypatch.setattr(capabilities, "granted", lambda: capabilities.SYS_RESOURCE)
    nofile, core = document.process(wanted, wanted["process"], root)["rlimits"]
    assert nofile["hard"] == int(Path("/proc/sys/fs/nr_open").read_text()) and core == limits[1]


def test_read_only_binds_are_so_all_the_way_down(root: int, tmp_path: Path) -> None:
    wanted = spec()
    options = (["rbind", "ro"], ["rbind", "ro", "rrw"], ["rbind", "rw"], ["bind", "ro"])
    wanted["mounts"] = [
        {"destination": "/x", "source": str(tmp_path), "type": "bind", "options": list(o)} for o in options
    ]
    file = {"destination": "/y", "source": __file__, "type": "bind", "options": ["rbind", "ro"]}
    found = document.container({**wanted, "mounts": [*wanted["mounts"], file]}, root, None)["mounts"]
    assert ["rro" in mount["options"] for mount in found] == [True, False, False, False, False]


LOG = b"""{"level":"info","msg":"a"}
{"level":"error","msg":"first"}
not json
{"level":"error","msg":" last "}
{"level":"debug"}
"""


def test_the_last_error_of_a_log_counts() -> None:
    assert last_error(LOG) == "last"
    assert last_error(b"") == last_error(b'[1]\n{"level":"error","msg":5}\n{"level":"error"}') == ""


@given(st.binary() | st.lists(st.sampled_from(LOG.splitlines())).map(b"\n".join))
def test_any_log_is_read(log: bytes) -> None:
    assert isinstance(last_error(log), str)


def test_a_failure_without_words(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        why = {1: "exit status 1", 137: "signal: 9", None: "it did not end in time"}
        for code, text in why.items():
            found = failure("start", fd, "log.json", code, "/bin/x").message
            assert found == f"OCI runtime start failed: unable to retrieve OCI runtime error: /bin/x: {text}: unknown"
        (tmp_path / "log.json").write_bytes(LOG)
        assert failure("exec", fd, "log.json", 1, "/bin/x").message == "OCI runtime exec failed: last: unknown"
    finally:
        os.close(fd)
