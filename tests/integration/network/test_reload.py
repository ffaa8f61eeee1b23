"""Beside firewalls that reload: ufw and firewalld, each in a machine of its own with a configuration of its own."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine
from tests.integration.network.machine import Machine, knocking, machine, start_in

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("needs_nftables")]

Run = Callable[..., object]
RELOADS = 2
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""


def _with_own(made: Machine, folder: Path, configuration: str) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs commands in the machine, where the machine's copy of a directory of /etc lies over the host's."""
    own = folder / "etc"
    shutil.copytree(configuration, own)
    lay = f'mount --bind {own} {configuration} && exec "$@"'

    def run(*command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return made.run("unshare", "-m", "sh", "-c", lay, "sh", *command, check=check)

    return run


@contextlib.contextmanager
def ufw(made: Machine, folder: Path) -> Iterator[Run]:
    run = _with_own(made, folder, "/etc/ufw")
    run("ufw", "--force", "enable")
    yield lambda: run("ufw", "reload")


@contextlib.contextmanager
def firewalld(made: Machine, folder: Path) -> Iterator[Run]:
    (folder / "bus.conf").write_text(BUS.format(path=folder / "bus"))
    environment = f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={folder}/bus"
    run = _with_own(made, folder, "/etc/firewalld")
    enter = ["nsenter", f"--net=/run/netns/{made.inside}"]
    lay = f"mount --bind {folder}/etc /etc/firewalld && exec firewalld --nofork --nopid"
    commands = (
        ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork"],
        ["env", environment, *enter, "unshare", "-m", "sh", "-c", lay],
    )
    running = []
    try:
        for command in commands:
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            await_true("the bus", (folder / "bus").exists)
        state = ["env", environment, "firewall-cmd", "--state"]
        await_true("firewalld runs", lambda: made.run(*state, check=False).returncode == 0, timeout=20)
        command = ("env", environment, "firewall-cmd", "--reload")  # on a busy machine it does not wait long enough
        yield lambda: await_true("firewalld reloads", lambda: run(*command, check=False).returncode == 0, timeout=60)
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait()


@pytest.mark.parametrize(("program", "firewall"), [("ufw", ufw), ("firewalld", firewalld)])
def test_ports_and_walls_outlive_reloads(
    daemon: Clients,
    new_engine: Callable[..., Engine],
    tmp_path: Path,
    program: str,
    firewall: Callable[[Machine, Path], AbstractContextManager[Run]],
) -> None:
    """CVE-2025-54388, CVE-2025-54410: the published port and the way out are there again after each reload, and what is not
    published, or at loopback alone, is never open to a host on the wire.
    """
    if not isinstance(daemon, Engine):
        pytest.skip("looks behind the API of scow itself")
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    with machine() as made:
        engine = start_in(made, daemon, new_engine)
        serve = "mkdir /w; echo -n web > /w/index.html; httpd -p 80 -h /w; exec httpd -f -p 81 -h /w"
        ports = ("-p", "8000:80", "-p", "127.0.0.1:8001:80")
        engine.scow("run", "-d", "--name", "web", *ports, "busybox", "sh", "-c", serve, check=True)
        inside = engine.inspect("web")["NetworkSettings"]["IPAddress"]
        closed = (f"{inside}:80", f"{inside}:81", f"{made.address}:8001")

        def works() -> bool:
            out = engine.scow("exec", "web", "ping", "-c", "1", "-W", "1", made.beside).returncode == 0
            asked = ["nsenter", f"--net=/run/netns/{made.outside}", "timeout", "2", "busybox", "wget", "-qO-"]
            url = f"http://{made.address}:8000/"
            return out and subprocess.run([*asked, url], capture_output=True, text=True).stdout == "web"

        await_true("it works without the firewall", works, timeout=30)
        with firewall(made, tmp_path) as reload:
            await_true(f"it works beside {program}", works, timeout=30)
            with knocking(made.outside, *closed) as knocks:
                for _ in range(RELOADS):
                    reload()
                    await_true(f"it works after {program} has reloaded", works, timeout=30)
            assert knocks[0] > 300 and knocks[1] == 0
