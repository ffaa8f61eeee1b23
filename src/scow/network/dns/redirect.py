"""Port 53 of 127.0.0.11 led to the ports where the helper listens, by two pairs of rules inside a container's namespace.

The helper cannot take port 53 itself: a container that serves DNS at 0.0.0.0:53 would find it taken. The rules rewrite the
port in packets to and from 127.0.0.11 and keep no state, so that no connection tracking starts in the namespace.
"""

import contextlib
import errno
import socket
import struct

from scow.linux import nfmessage
from scow.linux.netlink import CREATE, EXCL, NETFILTER, Message, Netlink
from scow.linux.nfmessage import IPV4, NETWORK_HEADER, TRANSPORT_HEADER

_TABLE = "scow_names"
_CHAIN = "output"
_RAW = -300
_SOURCE, _DESTINATION = 12, 16  # of the addresses in the IPv4 header
_SOURCE_PORT, _DESTINATION_PORT = 0, 2
_PROTOCOLS = {"udp": (socket.IPPROTO_UDP, 6), "tcp": (socket.IPPROTO_TCP, 16)}  # and where the checksum is
_PORT = 53


def _rule(address: bytes, protocol: str, at: int, port_at: int, found: int, wanted: int) -> Message:
    """Packets whose address and port at these places are this address and `found` get the port `wanted`."""
    number, checksum = _PROTOCOLS[protocol]
    return nfmessage.rule(
        IPV4,
        _TABLE,
        _CHAIN,
        nfmessage.load(NETWORK_HEADER, at, 4),
        nfmessage.equals(address),
        nfmessage.meta(nfmessage.PROTOCOL),
        nfmessage.equals(bytes((number,))),
        nfmessage.load(TRANSPORT_HEADER, port_at, 2),
        nfmessage.equals(struct.pack("!H", found)),
        nfmessage.value(struct.pack("!H", wanted)),
        nfmessage.store(TRANSPORT_HEADER, port_at, 2, checksum),
    )


def transaction(address: str, ports: dict[str, int], *, replace: bool = False) -> list[Message]:
    """The table. ports: "udp", "tcp" -> where the helper listens at `address`. replace: an old table goes; that costs
    the caller ten milliseconds (the kernel waits for packets under way), so it is done only when there is one.
    """
    packed = socket.inet_aton(address)
    messages: list[Message] = []
    if replace:
        messages += [nfmessage.new_table(IPV4, _TABLE), nfmessage.delete_table(IPV4, _TABLE)]
    messages += [
        nfmessage.new_table(IPV4, _TABLE, flags=CREATE | EXCL),
        nfmessage.hooked_chain(IPV4, _TABLE, _CHAIN, "output", _RAW),
    ]
    for protocol, port in ports.items():
        messages.append(_rule(packed, protocol, _DESTINATION, _DESTINATION_PORT, _PORT, port))
        messages.append(_rule(packed, protocol, _SOURCE, _SOURCE_PORT, port, _PORT))
    return nfmessage.transaction(messages)


def install(address: str, ports: dict[str, int]) -> bool:
    """In the namespace of the caller; some tenths of a millisecond. False when the kernel has no nftables."""
    try:
        with contextlib.closing(Netlink(NETFILTER)) as netlink:
            try:
                netlink.send(transaction(address, ports))
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
                netlink.send(transaction(address, ports, replace=True))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EINVAL, errno.ENOENT):
            return False
        raise
    return True
