"""Containers of --rm: told of early, tidied up after, and yet fit to be restarted."""

import json
import os
import threading

from tests.harness.clients import Clients, await_true
from tests.integration.containers.test_restart_policies import END_BY_SIGNAL, status

REMOVED = {"AutoRemove": True}


def test_it_is_gone_when_the_waiter_hears_of_it(clean: Clients) -> None:
    id_ = clean.create("c1", Cmd=["sh", "-c", "echo x > /left; exit 3"], HostConfig=REMOVED)
    answers: list[bytes] = []
    waiter = threading.Thread(
        target=lambda: answers.append(clean.api("POST", "/containers/c1/wait", query={"condition": "removed"}).body)
    )
    waiter.start()
    clean.start_container("c1")
    waiter.join(20)
    assert json.loads(answers[0])["StatusCode"] == 3
    assert clean.api("GET", f"/containers/{id_}/json").status == 404
    clean.create("c1", Cmd=["true"])  # the name is free


def test_restarts_leave_it_whole_and_in_its_cgroup(clean: Clients) -> None:
    clean.launch("c1", Cmd=END_BY_SIGNAL, HostConfig=REMOVED)
    for _ in range(4):
        assert clean.api("POST", "/containers/c1/restart", query={"t": "5"}).status == 204
        pid = clean.inspect("c1")["State"]["Pid"]
        with open(f"/proc/{pid}/cgroup") as file:
            places = [line.rstrip("\n").split(":", 2)[2] for line in file]
        assert all(place.endswith(clean.inspect("c1")["Id"]) for place in places if "/scow" in place) and places
        assert os.path.exists(f"/proc/{pid}/root/bin/busybox")
    assert status(clean, "c1") == "running"
    assert clean.api("POST", "/containers/c1/stop").status == 204
    await_true("its removal", lambda: clean.api("GET", "/containers/c1/json").status == 404)
