"""config.v2.json and hostconfig.json: the keys that forensic tools and log shippers read, in Docker's shape."""

import json

from scow.model.container import Container, ContainerConfig, HostConfig, LogConfig, Status
from scow.model.mounts import MountPoint, MountRequest
from scow.model.network import Endpoint
from scow.model.ports import Port, PublishedPort
from scow.server.docker.export import config_v2, hostconfig

# As dockerd 26.1 writes them.
KEYS = """Args Config ConfigReferences Created Driver HasBeenManuallyStopped HasBeenStartedBefore HostnamePath HostsPath ID
Image ImageManifest LocalLogCacheMeta LogPath Managed MountLabel MountPoints Name NetworkSettings NoNewPrivileges OS Path
ProcessLabel ResolvConfPath RestartCount SeccompProfile SecretReferences ShmPath State StreamConfig AppArmorProfile""".split()
CONTAINER = Container(
    id="c" * 64,
    name="web",
    created_at=1795492524380521752,
    image_id="sha256:i",
    image_ref="nginx",
    config=ContainerConfig(image="nginx", hostname="h", exposed_ports=(Port(80),)),
    host=HostConfig(
        mounts=(
            MountRequest("bind", "/b", "/src", read_only=True, mode="ro"),
            MountRequest("tmpfs", "/t", origin="tmpfs"),
        ),
        security_opt=("no-new-privileges",),
        log=LogConfig("json-file"),
    ),
    path="nginx",
    mount_points=(
        MountPoint("bind", "/b", "/src", mode="ro", read_only=True, propagation="rprivate"),
        MountPoint("tmpfs", "/t"),
    ),
    status=Status(
        "running",
        pid=7,
        started_at=1795492524380521752,
        endpoints=(Endpoint("n" * 64, "bridge", "e" * 64, "10.0.0.2", 24, "10.0.0.1", "02:42:00:00:00:02"),),
        published=(PublishedPort(Port(80), "0.0.0.0", 82),),
        sandbox_id="s",
    ),
)


def test_config_v2() -> None:
    record = json.loads(config_v2(CONTAINER, "/data"))
    assert sorted(record) == sorted(KEYS)
    assert record["LogPath"] == f"/data/containers/{CONTAINER.id}/{CONTAINER.id}-json.log"
    assert record["State"]["Running"] is True
    assert (record["State"]["Pid"], record["Name"], record["NoNewPrivileges"]) == (7, "/web", True)
    assert record["NetworkSettings"]["Ports"] == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "82"}]}
    assert record["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] == "10.0.0.2"
    assert record["MountPoints"] == {
        "/b": {
            "Source": "/src",
            "Destination": "/b",
            "RW": False,
            "Name": "",
            "Driver": "",
            "Type": "bind",
            "Relabel": "ro",
            "Propagation": "rprivate",
            "Spec": {"Type": "bind", "Source": "/src", "Target": "/b", "ReadOnly": True},
            "SkipMountpointCreation": False,
        }
    }


def test_hostconfig() -> None:
    record = json.loads(hostconfig(CONTAINER))
    assert record["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert record["NetworkMode"] == "bridge"
    assert record["Tmpfs"] == {"/t": ""}
