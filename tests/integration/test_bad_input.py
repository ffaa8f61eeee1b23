"""Bad input gets Docker's status and sentence, and leaves nothing behind."""

import http.client
import re

import pytest

from tests.harness import leaks, registry
from tests.harness.clients import ROOT, Clients
from tests.harness.engine import Engine


def refused(engine: Clients, status: int, pattern: str, **config: object) -> None:
    """A container with this configuration cannot be created, or not started, for this reason."""
    answer = engine.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **config})
    if answer.status == 201:
        identity = answer.json()["Id"]
        answer = engine.api("POST", f"/containers/{identity}/start")
        state = engine.inspect(identity)["State"]
        assert not state["Running"] and state["Status"] == "created"
    assert (answer.status, bool(re.search(pattern, answer.message))) == (status, True), (answer.status, answer.body)


def test_no_such_image(clean: Clients) -> None:
    refused(clean, 404, "No such image: no-such-image:latest", Image="no-such-image")


def test_no_such_command(clean: Clients) -> None:
    refused(clean, 400, r'exec: "nothing": executable file not found in \$PATH', Cmd=["nothing"])
    assert clean.run(cli(clean, "run", "--rm", "busybox", "nothing")).returncode == 127


def test_not_executable(clean: Clients) -> None:
    refused(clean, 400, "permission denied", Cmd=["/etc/passwd"])
    assert clean.run(cli(clean, "run", "--rm", "busybox", "/etc/passwd")).returncode == 126


def test_bad_user(clean: Clients) -> None:
    refused(clean, 500, "unable to find user nobody-here: no matching entries in passwd file", User="nobody-here")


def test_mount_source_is_missing(clean: Clients) -> None:
    mount = {"Type": "bind", "Source": "/no/such/folder", "Target": "/x"}
    refused(clean, 400, "bind source path does not exist: /no/such/folder", HostConfig={"Mounts": [mount]})


def test_name_in_use(clean: Clients) -> None:
    identity = clean.create("taken", Cmd=["true"])
    answer = clean.api("POST", "/containers/create", {"Image": "busybox"}, query={"name": "taken"})
    assert answer.status == 409
    assert f'The container name "/taken" is already in use by container "{identity}"' in answer.message


def test_bad_name(clean: Clients) -> None:
    answer = clean.api("POST", "/containers/create", {"Image": "busybox"}, query={"name": "-bad"})
    assert answer.status == 400 and "Invalid container name (-bad)" in answer.message


def test_port_in_use(clean: Clients, needs_nftables: None) -> None:
    ports = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "48123"}]}}
    clean.launch("first", Cmd=["sleep", "60"], ExposedPorts={"80/tcp": {}}, HostConfig=ports)
    refused(
        clean,
        500,
        "(?i)port is already allocated|address already in use",
        ExposedPorts={"80/tcp": {}},
        HostConfig=ports,
    )


@pytest.mark.parametrize(
    ("host", "pattern"),
    [
        ({"Memory": 1}, "(?i)minimum memory limit allowed is 6MB"),
        ({"NanoCpus": 10**15}, "(?i)range of CPUs is from"),
        ({"CpusetCpus": "4096"}, "(?i)cpus are not available"),
        ({"CpusetCpus": "x-y"}, "(?i)invalid value x-y for cpuset cpus"),
        ({"NetworkMode": "no-such-network"}, "network no-such-network not found"),
        ({"RestartPolicy": {"Name": "sometimes"}}, "(?i)invalid restart policy"),
        ({"CapAdd": ["FLY"]}, "(?i)invalid CapAdd|unknown capability"),
        ({"Binds": ["relative:path:x"]}, "(?i)invalid (volume specification|mode)"),
        ({"PortBindings": {"99999/tcp": [{"HostPort": "80"}]}}, "(?i)invalid (container )?port"),
        ({"LogConfig": {"Type": "no-such-driver"}}, "(?i)log driver|logging driver|logging plugin"),
        ({"LogConfig": {"Type": "json-file", "Config": {"max-size": "lots"}}}, "(?i)max-size|invalid size"),
    ],
)
def test_absurd_options(clean: Clients, host: dict[str, object], pattern: str) -> None:
    answer = clean.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "HostConfig": host})
    if answer.status == 201:
        answer = clean.api("POST", f"/containers/{answer.json()['Id']}/start")
    assert 400 <= answer.status <= 500, answer.body
    assert re.search(pattern, answer.message), answer.body


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"Image": 5}', b'{"Cmd": {"a": 1}}', b""])
def test_invalid_json_is_a_400_with_a_message(clean: Clients, body: bytes) -> None:
    answer = clean.api("POST", "/containers/create", body)
    assert answer.status == 400, answer.body
    assert answer.message and "Traceback" not in answer.message


def test_unknown_routes_and_methods(clean: Clients) -> None:
    for method, path in (("GET", "/nothing/here"), ("DELETE", "/info"), ("PATCH", "/containers/json")):
        answer = clean.api(method, path)
        assert answer.status in (404, 405) and answer.message


@pytest.mark.parametrize("version", ["v1.99", "v0.1"])
def test_versions_out_of_range(clean: Clients, version: str) -> None:
    answer = clean.api("GET", "/version", version=version)
    assert answer.status == 400 and re.search(r"client version .* is too (new|old)", answer.message)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/containers/none/json"), ("POST", "/containers/none/start"), ("POST", "/containers/none/stop"),
        ("POST", "/containers/none/kill"), ("DELETE", "/containers/none"), ("POST", "/containers/none/wait"),
        ("GET", "/containers/none/logs?stdout=1"), ("GET", "/containers/none/top"), ("POST", "/containers/none/pause"),
    ],
)  # fmt: skip
def test_no_such_container(clean: Clients, method: str, path: str) -> None:
    answer = clean.api(method, path)
    assert answer.status == 404 and answer.message.endswith("No such container: none"), answer.body


def test_a_torn_request_harms_nobody(clean: Clients) -> None:
    connection = clean.connect()
    connection.connect()
    connection.sock.sendall(b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\n{")
    connection.close()
    connection = clean.connect()
    connection.connect()
    connection.sock.sendall(b"\0\1\2\3 nonsense\r\n\r\n")
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    assert answer.status == 400
    connection.close()
    assert clean.answers()


# ---------------------------------------------------------------- registries


def pull(engine: Clients, reference: str) -> str:
    name, _, tag = reference.rpartition(":")
    answer = engine.api("POST", "/images/create", query={"fromImage": name, "tag": tag}, timeout=60)
    return answer.body.decode()


def test_a_pull_of_nothing(clean: Clients, registry: registry.Registry) -> None:
    said = pull(clean, f"{registry.address}/library/none:latest")
    assert re.search("not found|manifest unknown|does not exist", said)


def damaged(registry_: registry.Registry, name: str, how: str) -> str:
    """An image whose layer the registry holds damaged."""
    image = registry.Image([registry.busybox_tar() + name.encode() * 1000])
    reference = registry_.push(f"damaged/{name}", image)
    path = registry_.blob_path(registry.digest(image.parts()[2][0]))
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 0xFF
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    return reference


@pytest.mark.parametrize("how", ["flip", "cut"])
def test_a_damaged_layer_is_refused_and_leaves_nothing(scratch: Engine, registry: registry.Registry, how: str) -> None:
    reference = damaged(registry, f"layer-{how}", how)
    before = leaks.at_rest(scratch), snapshot(scratch)
    said = pull(scratch, reference)
    assert '"error' in said, said
    assert scratch.api("GET", f"/images/{reference}/json").status == 404
    assert snapshot(scratch) == before[1]
    leaks.settle(scratch, before[0])


def snapshot(engine: Engine) -> set[str]:
    """Every file of the content store and the layers, without what runs along (databases and their logs)."""
    return {
        str(path.relative_to(engine.data_root))
        for folder in ("blobs", "layers", "ingest", "snapshots")
        for path in (engine.data_root / folder).rglob("*")
        if path.parent.name != "locks"
    }


def cli(engine: Clients, *args: str) -> list[str]:
    """scow's CLI where the engine is scow's, else the docker CLI."""
    program = [str(ROOT / "bin/scow")] if isinstance(engine, Engine) else ["docker"]
    return [*program, "-H", engine.host, *args]
