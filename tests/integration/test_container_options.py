"""Options whose effect shows only inside of a container."""

import pytest

from tests.harness import streams
from tests.harness.clients import Clients


def inside(engine: Clients, script: str, **config: object) -> str:
    identity = engine.launch(Cmd=["sh", "-c", script], **config)
    engine.wait(identity)
    out, err = streams.logs(engine, identity)
    return (out + err).decode()


@pytest.mark.parametrize("mode", ["none", "bridge"])
def test_loopback_is_up(clean: Clients, mode: str) -> None:
    text = inside(clean, "ping -c1 -W1 127.0.0.1", HostConfig={"NetworkMode": mode})
    assert "1 packets received" in text


def test_extra_groups_by_number_and_name(clean: Clients) -> None:
    assert "55" in inside(clean, "grep Groups /proc/self/status", User="1000", HostConfig={"GroupAdd": ["55"]}).split()
    answer = clean.api("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"GroupAdd": ["no-such"]}})
    started = clean.api("POST", f"/containers/{answer.json()['Id']}/start")
    assert "Unable to find group no-such: no matching entries in group file" in started.message


def test_a_tmpfs_on_a_new_place_is_for_everybody(clean: Clients) -> None:
    text = inside(clean, "touch /new/file && stat -c %a /new", User="1000", HostConfig={"Tmpfs": {"/new": ""}})
    assert text == "1777\n"


def test_a_mount_on_etc_does_not_cover_the_files_of_names(clean: Clients) -> None:
    text = inside(
        clean, "cat /etc/hostname && grep -c . /etc/hosts /etc/resolv.conf", HostConfig={"Tmpfs": {"/etc": ""}}
    )
    assert text.split()[0] == clean.api("GET", "/containers/json?all=1").json()[0]["Id"][:12]
    assert "/etc/hosts:" in text and "/etc/resolv.conf:" in text


def test_a_host_name_needs_a_uts_namespace(clean: Clients) -> None:
    body = {"Image": "busybox", "Hostname": "h", "HostConfig": {"UTSMode": "host"}}
    answer = clean.api("POST", "/containers/create", body)
    assert (answer.status, answer.message) == (400, "conflicting options: hostname and the UTS mode")


def test_no_ipc_means_no_shared_memory(clean: Clients) -> None:
    assert "No such file" in inside(clean, "ls /dev/shm", HostConfig={"IpcMode": "none"})


def test_mac_address_of_an_endpoint(clean: Clients) -> None:
    address = "02:42:ac:11:00:09"
    endpoints = {"EndpointsConfig": {"bridge": {"MacAddress": address}}}
    assert address in inside(clean, "ip link show eth0", NetworkingConfig=endpoints)


def test_the_network_of_another_container(clean: Clients) -> None:
    owner = clean.launch("owner", Cmd=["sleep", "60"])
    text = inside(clean, "hostname; hostname -i", HostConfig={"NetworkMode": "container:owner"})
    assert text.split() == [owner[:12], clean.inspect(owner)["NetworkSettings"]["IPAddress"]]


def test_dockers_sign_of_a_container_is_there_and_no_change_of_it(clean: Clients) -> None:
    assert inside(clean, "stat -c '%a %s %u' /.dockerenv") == "755 0 0\n"
    identity = clean.api("GET", "/containers/json?all=1").json()[0]["Id"]
    assert clean.api("GET", f"/containers/{identity}/changes").json() in (None, [])
    changed = clean.launch(Cmd=["sh", "-c", "echo user > /.dockerenv"])
    clean.wait(changed)
    assert clean.api("GET", f"/containers/{changed}/changes").json() == [{"Path": "/.dockerenv", "Kind": 1}]
