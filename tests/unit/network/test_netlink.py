"""Netlink's packing, by properties and by the kernel's own recorded answers."""

import errno
import struct

from hypothesis import given
from hypothesis import strategies as st

from scow.linux import netlink, nfmessage, rtnetlink


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_come_back(values: dict[int, bytes]) -> None:
    packed = b"".join(netlink.attribute(kind, data) for kind, data in values.items())
    assert len(packed) % 4 == 0
    assert netlink.attributes(packed) == values


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(data: bytes) -> None:
    netlink.attributes(data)


def test_the_kernels_sentence_is_told() -> None:
    request = struct.pack("=IHHII", 40, 16, 5, 1, 0)
    sentence = netlink.text(1, "Unknown device type")
    error = netlink._failure(0x100 | 0x200, struct.pack("=i", -errno.EOPNOTSUPP) + request + sentence, 3)
    assert error is not None and error.errno == errno.EOPNOTSUPP and error.index == 3
    assert str(error).endswith("Operation not supported: Unknown device type")
    assert netlink._failure(0, struct.pack("=i", 0) + request, 0) is None


def test_broadcast_of_an_address() -> None:
    _, _, payload = rtnetlink.add_address(7, "172.29.3.4", 20)
    assert netlink.attributes(payload[8:])[4] == bytes([172, 29, 15, 255])


def test_many_elements_are_split_over_messages() -> None:
    entries = [(struct.pack("!B3xH2x", 6, port), bytes(8)) for port in range(1, 1202)]
    messages = nfmessage.element_messages(nfmessage.NEW_ELEMENT, nfmessage.INET, "scow", "publish", entries)
    assert len(messages) == 3 and all(len(payload) < 65000 for _, _, payload in messages)
