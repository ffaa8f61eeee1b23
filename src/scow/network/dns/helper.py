"""The helper: a process of its own, one per daemon, that answers at 127.0.0.11 of every container on a user-defined network.

Names must be answered when the daemon is not there, so it lives on like a monitor; it is started for the first such
container and ends when there has been none for a while. It has one loop, imports little, and keeps of root's rights those
to enter network namespaces and to set rules there.

Its control socket (SOCK_SEQPACKET, listening, the peer's user checked) is its standard input, whose path is its argument.
A request is one JSON object, an fd with it where that is said; each is answered by one object, {} or {"error": TEXT}:

  {"do": "begin"}     what comes until "settle" is all that there is: what was there before is answered until then
  {"do": "publish", "network": ID, "records": {CONTAINER: [[NAME, …], IPV4, IPV6]}}
  {"do": "withdraw", "network": ID, "containers": [CONTAINER, …]}
  {"do": "serve", "container": CONTAINER, "networks": [[ID, NAME], …], "forward": BOOL, "bare": BOOL,
   "resolvers": [ADDRESS, …], "links": {ID: {ALIAS: NAME}}}, with the fd of its network namespace
  {"do": "leave", "container": CONTAINER}
  {"do": "settle"}
  {"do": "status"}    answered by {"records": N, "containers": N, "errands": N}
  {"do": "end"}
"""

import json
import os
import resource
import select
import socket
import struct
import sys
import time
from typing import Any

from scow.linux import libc
from scow.network.dns.counter import Counter, House, Terms
from scow.network.dns.decision import Asker
from scow.network.dns.zones import Zones, entry
from scow.network.relay import Loop

MESSAGE = 1 << 18
_END_AFTER = 30.0
_NOBODY = 65534
_CAP_NET_ADMIN, _CAP_SYS_ADMIN, _CAP_NET_BIND_SERVICE = 12, 21, 10


class Helper:
    """The program: control connections and counters."""

    def __init__(self, control: socket.socket, path: str) -> None:
        self._path = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._loop = Loop()
        self._house = House(self._loop)
        self._counters: dict[str, Counter] = {}
        self._fresh: Zones | None = None  # between begin and settle
        self._named: set[str] = set()
        self._control = control
        self._owner = os.getuid()
        self._ending = False
        control.setblocking(False)
        self._loop.watch(control.fileno(), select.EPOLLIN, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            peer, _ = self._control.accept()
        except OSError:
            return
        _, uid, _ = struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != self._owner:
            peer.close()
            return
        peer.setblocking(False)
        self._loop.watch(peer.fileno(), select.EPOLLIN, lambda _events: self._serve(peer))

    def _serve(self, peer: socket.socket) -> None:
        fds: list[int] = []
        try:
            data, fds, _, _ = socket.recv_fds(peer, MESSAGE, 4, socket.MSG_DONTWAIT)
            if data:
                peer.send(json.dumps(self._obey(json.loads(data), fds)).encode())
                return
        except BlockingIOError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass  # a peer that talks nonsense, or is gone, is left
        finally:
            for fd in fds:
                os.close(fd)
        self._loop.forget(peer.fileno())
        peer.close()

    def _obey(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        word = request["do"]
        zones = self._house.zones if self._fresh is None else self._fresh
        if word == "publish":
            records = {id_: entry(names, ipv4, ipv6) for id_, (names, ipv4, ipv6) in request["records"].items()}
            zones.publish(request["network"], records)
        elif word == "withdraw":
            zones.withdraw(request["network"], request["containers"])
        elif word == "serve":
            return self._serve_container(request, fds)
        elif word == "leave":
            self._leave(request["container"])
        elif word == "begin":
            self._fresh, self._named = Zones(), set()
        elif word == "settle":
            self._settle()
        elif word == "status":
            return {"records": len(zones), "containers": len(self._counters), "errands": self._house.errands}
        elif word == "end":
            self._ending = True
        return {}

    def _serve_container(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        container_id = request["container"]
        terms = _terms(request)
        self._named.add(container_id)
        counter = self._counters.get(container_id)
        status = os.fstat(fds[0])
        if counter is not None and counter.namespace == (status.st_dev, status.st_ino):
            counter.terms = terms
            return {}
        self._leave(container_id)
        try:
            self._counters[container_id] = Counter(self._house, fds[0], terms)
        except OSError as error:
            return {"error": str(error)}
        del fds[0]  # the counter's now
        return {}

    def _leave(self, container_id: str) -> None:
        counter = self._counters.pop(container_id, None)
        if counter is not None:
            counter.close()

    def _settle(self) -> None:
        if self._fresh is None:
            return
        self._house.zones, self._fresh = self._fresh, None
        for container_id in set(self._counters) - self._named:
            self._leave(container_id)

    def run(self) -> None:
        idle_since = time.monotonic()
        pause = 0.0
        while not self._ending:
            self._loop.run_once(min(pause, 5.0))
            now = time.monotonic()
            pause = self._house.expire(now)
            if self._counters:
                idle_since = now
            elif now - idle_since > _END_AFTER:
                return
            if os.fstat(self._path).st_nlink == 0:
                return  # another helper has taken over, or the daemon's directories are gone


def _terms(request: dict[str, Any]) -> Terms:
    networks = tuple((id_, name.encode().lower()) for id_, name in request["networks"])
    links = {
        id_: {alias.encode().lower(): name.encode().lower() for alias, name in known.items()}
        for id_, known in request.get("links", {}).items()
    }
    return Terms(Asker(networks, request["forward"], request["bare"], links), tuple(request["resolvers"]))


def _give_up_rights() -> None:
    keep = 1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_ADMIN | 1 << _CAP_NET_BIND_SERVICE
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    libc.prctl(libc.PR_SET_KEEPCAPS, 1)
    libc.become(_NOBODY, _NOBODY, [])
    libc.capset(keep, keep, 0)


def main() -> None:
    control = socket.socket(fileno=0)
    helper = Helper(control, sys.argv[1])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.chdir("/")
    if os.getuid() == 0:
        _give_up_rights()
    helper.run()
