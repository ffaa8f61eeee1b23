"""The loopback interface of the network namespace that this process is in: netdevice(7)."""

import socket
import struct

from scow.linux import libc

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def set_up() -> None:
    """Make 127.0.0.1 and ::1 work. A new namespace has the interface, but down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        libc.ioctl(any_socket.fileno(), _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP))
