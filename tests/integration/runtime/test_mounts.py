"""Mounts of a spec, and trees that try to lead them astray."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scow.errors import StartFailure
from scow.linux import libc
from tests.integration.runtime.harness import Area, default_spec


@pytest.fixture
def canary(area: Area) -> Iterator[str]:
    """A directory outside of every root; nothing about it may change."""
    path = f"{area.path}/canary"
    os.makedirs(f"{path}/sub")
    Path(f"{path}/file").write_text("token")
    before = snapshot(path)
    yield path
    assert snapshot(path) == before


def snapshot(path: str) -> list[Any]:
    found = []
    for directory, names, files in sorted(os.walk(path)):
        for name in ["", *sorted(names), *sorted(files)]:
            status = os.lstat(f"{directory}/{name}")
            found.append(
                (directory, name, status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns, status.st_nlink)
            )
    return found


def with_mount(args: list[str], destination: str, source: str, *options: str, kind: str = "bind") -> dict[str, Any]:
    spec = default_spec(args)
    spec["mounts"].append({"destination": destination, "type": kind, "source": source, "options": list(options)})
    return spec


def tree(area: Area) -> str:
    """A changeable layer to lie on top of busybox."""
    path = f"{area.path}/layer{len(os.listdir(area.path))}"
    os.makedirs(path)
    return path


def test_bind_of_directory_and_file(area: Area, canary: str) -> None:
    spec = with_mount(["cat", "/data/file", "/etc/one"], "/data", canary, "rbind", "rprivate")
    spec["mounts"].append(
        {"destination": "/etc/one", "type": "bind", "source": f"{canary}/file", "options": ["rbind", "ro"]}
    )
    assert area.run(spec).out == "tokentoken"


def test_read_only_bind_is_recursive(area: Area, canary: str) -> None:
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    try:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
        libc.mount("tmpfs", f"{canary}/sub", "tmpfs")
        script = "touch /data/x; touch /data/sub/y; grep -c /data /proc/self/mountinfo"
        read_only = area.run(with_mount(["sh", "-c", script], "/data", canary, "rbind", "ro"))
        top_only = area.run(with_mount(["sh", "-c", script], "/data", canary, "rbind", "ro", "rrw"))
        flat = area.run(with_mount(["sh", "-c", script], "/data", canary, "bind", "ro"))
    finally:
        libc.setns(own, libc.CLONE_NEWNS)
        os.close(own)
    assert read_only.err.count("Read-only file system") == 2 and read_only.out == "2\n"
    assert top_only.err.count("Read-only file system") == 1
    assert flat.err.count("Read-only file system") == 2 and flat.out == "1\n"


@pytest.mark.parametrize(("word", "expected"), [("rprivate", ""), ("rslave", "master:"), ("rshared", "shared:")])
def test_propagation_words(area: Area, word: str, expected: str) -> None:
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    os.makedirs(f"{area.path}/shared")
    try:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
        libc.mount("tmpfs", f"{area.path}/shared", "tmpfs")
        libc.mount("", f"{area.path}/shared", "", libc.MS_SHARED)
        spec = with_mount(["grep", " /data ", "/proc/self/mountinfo"], "/data", f"{area.path}/shared", "rbind", word)
        line = area.run(spec).out
    finally:
        libc.setns(own, libc.CLONE_NEWNS)
        os.close(own)
    tags = line.split(" - ")[0].split()[6:]
    assert [tag for tag in tags if tag.startswith(("shared:", "master:"))] == tags
    assert any(tag.startswith(expected) for tag in tags) if expected else not tags, line


def test_tmpfs(area: Area) -> None:
    spec = with_mount(
        ["sh", "-c", "stat -c %a /t /root; grep ' /t ' /proc/self/mountinfo"],
        "/t",
        "tmpfs",
        "size=1m",
        "noexec",
        "mode=1770",
        kind="tmpfs",
    )
    spec["mounts"].append({"destination": "/root", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]})
    out = area.run(spec).out
    assert out.startswith("1770\n700\n") and "noexec" in out and "size=1024k" in out


def test_bad_tmpfs_option_is_named(area: Area) -> None:
    with pytest.raises(StartFailure, match="tmpfs option nonsense=1"):
        area.run(with_mount(["true"], "/t", "tmpfs", "nonsense=1", kind="tmpfs"))


def test_missing_source(area: Area) -> None:
    with pytest.raises(
        StartFailure, match='error mounting "/no/such" to rootfs at "/x": bind source /no/such: no such file'
    ):
        area.run(with_mount(["true"], "/x", "/no/such", "rbind"))


def test_file_on_directory_and_back(area: Area, canary: str) -> None:
    for destination, source in (("/etc", f"{canary}/file"), ("/etc/passwd", canary)):
        with pytest.raises(
            StartFailure, match=r"not a directory: unknown: Are you trying to mount a directory onto a file"
        ):
            area.run(with_mount(["true"], destination, source, "rbind"))


@pytest.mark.parametrize("target", ["{canary}/sub", "../../../../../../../..{canary}/sub"])
@pytest.mark.parametrize("destination", ["/link", "/link/deeper", "/etc/link/x"])
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_destination_through_a_link(area: Area, canary: str, target: str, destination: str, kind: str) -> None:
    """CVE-2021-30465, CVE-2024-45310: a link in the image leads nowhere but into the image."""
    layer = tree(area)
    os.makedirs(f"{layer}/etc")
    for name in ("link", "etc/link"):
        os.symlink(target.format(canary=canary), f"{layer}/{name}")
    source = area.lower if kind == "bind" else "tmpfs"
    spec = with_mount(["true"], destination, source, *(["rbind"] if kind == "bind" else []), kind=kind)
    with pytest.raises(StartFailure, match="no such file"):
        area.run(spec, root=area.rootfs((layer,)))


def test_link_inside_the_root_is_followed_there(area: Area) -> None:
    layer = tree(area)
    os.makedirs(f"{layer}/real")
    os.symlink("/real", f"{layer}/link")
    spec = with_mount(["sh", "-c", "touch /real/new/x; ls /real/new"], "/link/new", "tmpfs", kind="tmpfs")
    assert area.run(spec, root=area.rootfs((layer,))).out == "x\n"


@pytest.mark.parametrize("name", ["dev", "dev/pts", "dev/shm", "dev/mqueue", "dev/null", "dev/console", "dev/fd"])
def test_dev_is_ours_whatever_the_image_has(area: Area, canary: str, name: str) -> None:
    """CVE-2026-41579, CVE-2026-88264, CVE-2026-88265: /dev is a fresh mount; what is below an image's plays no part."""
    layer = tree(area)
    if name == "dev":
        os.symlink(f"{canary}/sub", f"{layer}/dev")
        with pytest.raises(StartFailure, match="no such file"):
            area.sh("true", root=area.rootfs((layer,)))
        return
    os.makedirs(f"{layer}/dev")
    os.symlink(f"{canary}/sub", f"{layer}/{name}")
    result = area.sh("stat -f -c %T /dev; echo gone > /dev/null; ls -A /dev/shm", root=area.rootfs((layer,)))
    assert result.out == "tmpfs\n" and result.err == ""


def test_dev_as_a_link_inside_the_root(area: Area) -> None:
    layer = tree(area)
    os.makedirs(f"{layer}/elsewhere")
    os.symlink("elsewhere", f"{layer}/dev")
    assert area.sh("stat -f -c %T /elsewhere; echo x > /dev/null", root=area.rootfs((layer,))).out == "tmpfs\n"


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("form", ["link", "file"])
def test_proc_and_sys_must_be_directories(area: Area, canary: str, name: str, form: str) -> None:
    """CVE-2019-19921, CVE-2023-27561, CVE-2023-28642."""
    layer = tree(area)
    if form == "link":
        os.symlink("tmp", f"{layer}/{name}")
    else:
        Path(f"{layer}/{name}").write_text("")
    with pytest.raises(StartFailure, match="must be mounted on ordinary directory"):
        area.sh("true", root=area.rootfs((layer,)))


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("/proc", "not of type proc"),
        ("/proc/", "not of type proc"),
        ("/../proc/.", "not of type proc"),
        ("/proc/sys", "inside /proc"),
        ("/proc/self/attr", "inside /proc"),
        ("/lnk/sys", "inside /proc"),
        ("/lnk/1/attr", "inside /proc"),
    ],
)
def test_volumes_do_not_cover_procfs(area: Area, canary: str, destination: str, reason: str) -> None:
    """CVE-2019-16884, CVE-2015-3631: neither by name nor through a link."""
    layer = tree(area)
    os.symlink("/proc", f"{layer}/lnk")
    with pytest.raises(StartFailure, match=reason):
        area.run(with_mount(["true"], destination, canary, "rbind"), root=area.rootfs((layer,)))


def test_lxcfs_files_may_be_covered(area: Area, canary: str) -> None:
    spec = with_mount(["cat", "/proc/uptime"], "/proc/uptime", f"{canary}/file", "rbind", "ro")
    assert area.run(spec).out == "token"


def test_the_root_itself_is_no_destination(area: Area, canary: str) -> None:
    with pytest.raises(StartFailure, match="root cannot be mounted over"):
        area.run(with_mount(["true"], "/x/..", canary, "rbind"))


def test_masking_follows_the_container_not_its_links(area: Area, canary: str) -> None:
    layer = tree(area)
    os.symlink(canary, f"{layer}/trap")
    spec = default_spec(["true"])
    spec["linux"]["maskedPaths"] = ["/trap", "/trap/file", "/nosuch", "/etc/passwd/x", "/etc/passwd"]
    spec["process"]["args"] = ["sh", "-c", "cat /etc/passwd; ls -A /trap"]
    assert area.run(spec, root=area.rootfs((layer,))).out == ""


def test_a_mutator_beside_the_start_reaches_nothing(area: Area, canary: str) -> None:
    """CVE-2021-30465, CVE-2024-45310, CVE-2025-62161, CVE-2025-54867: names change between link and directory meanwhile."""
    root, mounts = area.rootfs()
    upper = f"{os.path.dirname(root)}/upper"
    os.makedirs(f"{upper}/a")
    os.symlink(f"{canary}/sub", f"{upper}/b")
    stop = threading.Event()
    pid = os.fork()
    if pid == 0:
        while True:
            libc.function(libc.load("libc.so.6"), "renameat2", "i", "isisu")(
                -100, f"{upper}/a".encode(), -100, f"{upper}/b".encode(), 2
            )
    try:
        for number in range(15):
            spec = with_mount(["true"], f"/a/m{number}/x", "tmpfs", kind="tmpfs")
            spec["mounts"].append(
                {"destination": f"/a/f{number}", "type": "bind", "source": "/etc/hostname", "options": ["rbind"]}
            )
            try:
                area.run(spec, root=(root, mounts))
            except StartFailure:
                pass
    finally:
        stop.set()
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_read_only_root(area: Area) -> None:
    spec = default_spec(["sh", "-c", "touch /x; touch /dev/shm/y && pwd"], root={"readonly": True})
    spec["process"]["cwd"] = "/new/dir"
    result = area.run(spec)
    assert "Read-only file system" in result.err and result.out == "/new/dir\n"


def test_root_propagation_and_no_host_mounts(area: Area) -> None:
    spec = default_spec(["cat", "/proc/self/mountinfo"])
    spec["linux"]["rootfsPropagation"] = "rshared"
    lines = area.run(spec).out.splitlines()
    assert "shared:" in lines[0]
    assert {line.split()[4].split("/")[1] for line in lines} <= {"", "proc", "dev", "sys"}
    assert area.path not in open("/proc/self/mountinfo").read()


def test_127_layers(area: Area) -> None:
    layers = []
    for number in range(126):
        path = f"{area.path}/layers/{number:064x}/diff"
        os.makedirs(path)
        Path(f"{path}/n{number}").write_text(str(number))
        layers.append(path)
    assert area.sh("ls / | grep -c ^n; cat /n0 /n125", root=area.rootfs(tuple(layers))).out == "126\n0125"


def test_layers_the_old_way(area: Area, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels before 6.8 take the layers as one option of at most a page."""
    from scow.linux import mounts

    def refuse(kind: str, *rest: Any) -> int:
        if kind == "overlay":
            raise libc.failure(22, "overlay option lowerdir+")
        return real(kind, *rest)

    real = mounts.new
    monkeypatch.setattr(mounts, "new", refuse)
    test_127_layers(area)


def test_colons_and_commas_in_layer_paths(area: Area) -> None:
    path = f"{area.path}/odd:a,b\\c"
    os.makedirs(path)
    Path(f"{path}/here").write_text("yes")
    escaped = path.replace("\\", "\\\\").replace(":", "\\:")
    assert area.sh("cat /here", root=area.rootfs((escaped,))).out == "yes"
