"""Bytes and round trips through a published port: a server in a container, and who asks is a machine beside or the host."""

import contextlib
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.engines import Peer

# Programs of this machine run in a busybox image that way.
OWN_PROGRAMS = ["-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"]
PYTHON = "/usr/bin/python3"  # below what containers see of this machine
ECHO = """
import socket, threading
def serve(one):
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := one.recv(4096):
        one.sendall(data)
with socket.create_server(("", 5202)) as listener:
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],)).start()
"""
ASK = """
import socket, sys, time
one = socket.create_connection((sys.argv[1], int(sys.argv[2])))
one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
took = []
for _ in range(4000):
    start = time.perf_counter()
    one.sendall(b"x" * 64)
    one.recv(4096)
    took.append(time.perf_counter() - start)
print(sorted(took)[len(took) // 2] * 1e6)
"""
CONNECT = """
import socket, sys, time
took = []
for _ in range(400):
    start = time.perf_counter()
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as one:
        one.sendall(b"x")
        one.recv(1)
    took.append(time.perf_counter() - start)
print(sorted(took)[len(took) // 2] * 1e6)
"""


@dataclass(frozen=True)
class Wire:
    """A machine beside this one: a network namespace, and this machine's address on the wire to it."""

    netns: str
    address: str

    @property
    def enter(self) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.netns}"]


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    number = 1 + secrets.randbelow(250)
    name, link = f"scbw{number}", f"scbl{number}"
    commands = (
        f"netns add {name}",
        f"link add {link} type veth peer name eth0 netns {name}",
        f"addr add 10.253.{number}.1/24 dev {link}",
        f"link set {link} up",
        f"-n {name} addr add 10.253.{number}.2/24 dev eth0",
        f"-n {name} link set eth0 up",
        f"-n {name} link set lo up",
    )
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        yield Wire(name, f"10.253.{number}.1")
    finally:
        subprocess.run(["ip", "link", "del", link], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def serve(peer: Peer, port: int) -> None:
    """Both servers: iperf3 at `port` (where it is installed), the echo at the next one."""
    flags = ["run", "-d", *OWN_PROGRAMS]
    if shutil.which("iperf3"):
        peer.call(*flags, "--name", "bench-bytes", "-p", f"{port}:5201", "busybox", "/usr/bin/iperf3", "-s")
    peer.call(*flags, "--name", "bench-echo", "-p", f"{port + 1}:5202", "busybox", PYTHON, "-I", "-S", "-c", ECHO)
    time.sleep(0.5)


def gigabits(enter: list[str], address: str, port: int, seconds: int) -> float:
    """Gbit/s that arrive in the container."""
    if not shutil.which("iperf3"):
        raise RuntimeError("iperf3 is not installed")
    command = [*enter, "iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-J"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise RuntimeError(f"iperf3 to {address}: {answer['error']}")
    return float(answer["end"]["sum_received"]["bits_per_second"]) / 1e9


def microseconds(enter: list[str], script: str, address: str, port: int) -> float:
    """Median of a round trip (ASK) or of a connection with one byte there and back (CONNECT)."""
    command = [*enter, PYTHON, "-I", "-S", "-c", script, address, str(port + 1)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"no round trip to {address}: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)
