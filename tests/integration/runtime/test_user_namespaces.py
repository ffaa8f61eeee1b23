"""Containers in a user namespace: idmapped layers below, mapped ids above, nobody on the host."""

import os
from pathlib import Path
from typing import Any

import pytest

from scow.errors import Unsupported
from tests.integration.runtime.harness import Area, default_spec

_KERNEL = tuple(int(word) for word in os.uname().release.split(".")[:2])
_idmapped = pytest.mark.skipif(_KERNEL < (6, 15), reason="needs Linux 6.15: overlays of idmapped layers")
_MAP = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def _remapped(area: Area, command: list[str]) -> tuple[dict[str, Any], tuple[str, list[dict[str, Any]]], str]:
    """(spec, root, upper directory) of a container in a user namespace over idmapped layers."""
    spec = default_spec(command)
    spec["linux"]["namespaces"].append({"type": "user"})
    spec["linux"]["sysctl"] = {}
    path, (overlay,) = area.rootfs()
    for mapped in (spec["linux"], overlay):
        mapped.update(uidMappings=_MAP, gidMappings=_MAP)
    upper = f"{os.path.dirname(path)}/upper"
    os.chown(upper, 100000, 100000)
    return spec, (path, [overlay]), upper


@_idmapped
def test_layers_of_a_user_namespace_are_idmapped(area: Area) -> None:
    """Files of the image are the mapped root's, what it writes has the mapped ids on the host, and the layer stays as it is."""
    script = (
        "stat -c %u:%g /bin/busybox /; echo x > /made; mkdir /directory; chown 7:8 /directory;"
        "echo more >> /etc/passwd; echo out > /dev/stdout; cat /proc/self/uid_map; cat /sys/kernel/notes > /dev/null || true"
    )
    spec, root, upper = _remapped(area, ["sh", "-c", script])
    passwd = os.stat(f"{area.lower}/etc/passwd")
    result = area.run(spec, root=root)
    assert result.code == 0, result
    lines = result.out.splitlines()
    assert lines[:3] == ["0:0", "0:0", "out"] and lines[3].split() == ["0", "100000", "65536"], result
    found = {name: os.stat(f"{upper}/{name}") for name in ("made", "directory", "etc/passwd")}
    assert (found["made"].st_uid, found["made"].st_gid) == (100000, 100000)
    assert (found["directory"].st_uid, found["directory"].st_gid) == (100007, 100008)
    assert found["etc/passwd"].st_uid == 100000
    assert os.stat(f"{area.lower}/etc/passwd") == passwd


@_idmapped
def test_a_mapped_root_is_nobody_on_the_host(area: Area, tmp_path: Path) -> None:
    """A file of the host's root in a bind mount can be neither written nor owned, and a setuid file gives no more."""
    secret = tmp_path / "secret"
    secret.write_text("host")
    secret.chmod(0o600)
    os.chmod(tmp_path, 0o755)
    script = (
        "cat /host/secret; echo x > /host/secret; chown 0 /host/secret; touch /host/new;"
        "cp /bin/busybox /suid; chmod 4755 /suid; stat -c %u /host/secret; echo end"
    )
    spec, root, upper = _remapped(area, ["sh", "-c", script])
    spec["mounts"].append({"destination": "/host", "type": "bind", "source": str(tmp_path), "options": ["rbind"]})
    result = area.run(spec, root=root)
    assert result.out.splitlines() == ["65534", "end"], result
    assert secret.read_text() == "host" and os.listdir(tmp_path) == ["secret"]
    suid = os.stat(f"{upper}/suid")
    assert suid.st_mode & 0o4000 and suid.st_uid == 100000


@_idmapped
def test_a_remapped_container_takes_another_process(area: Area) -> None:
    spec, root, _ = _remapped(area, ["sleep", "30"])
    running = area.start(spec, root=root)
    try:
        result = running.execute(["sh", "-c", "id -u; cat /proc/self/uid_map; echo out > /dev/stdout"])
        lines = result.out.splitlines()
        assert lines[0] == "0" and lines[1].split()[1] == "100000" and lines[2] == "out", result
    finally:
        running.kill()


def test_a_root_that_cannot_be_idmapped_is_refused(area: Area) -> None:
    spec, _, _ = _remapped(area, ["true"])
    path, (mount,) = area.bind(area.lower)
    with pytest.raises(Unsupported, match="cannot be idmapped"):
        area.run(spec, root=(path, [{**mount, "uidMappings": _MAP, "gidMappings": _MAP}]))
