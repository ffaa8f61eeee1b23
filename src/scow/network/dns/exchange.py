"""One question on its way outside: whom to ask, which answer to believe. No I/O."""

from collections.abc import Sequence
from typing import NamedTuple

from scow.network import resolver
from scow.network.dns import message
from scow.network.dns.message import Malformed, Question

PATIENCE = 4.0
"""Seconds for one resolver (dockerd's figure)."""
MOST_RESOLVERS = 3
"""Of a resolv.conf no more are asked, by the C library as by dockerd."""
_BLAMED = 30.0
_MOST_WRONG = 64
_TRY_ANOTHER = (message.SERVER_FAILURE, message.REFUSED, message.NOT_IMPLEMENTED, message.FORMAT_ERROR)


class Upstream(NamedTuple):
    """A resolver. host: asked from the host's namespace, else from the container's."""

    address: str
    host: bool = False


class Ask(NamedTuple):
    """Send `payload` to a resolver, from a new socket whose port the kernel draws; give up an earlier one."""

    upstream: Upstream
    tcp: bool
    payload: bytes


class Reply(NamedTuple):
    """Done: the whole answer for the client."""

    data: bytes


class Blame:
    """Who did not answer lately is asked last, so that one dead resolver does not cost every question its patience."""

    def __init__(self) -> None:
        self._until: dict[Upstream, float] = {}

    def put(self, upstream: Upstream, now: float) -> None:
        self._until[upstream] = now + _BLAMED

    def forgive(self, upstream: Upstream) -> None:
        self._until.pop(upstream, None)

    def order(self, upstreams: Sequence[Upstream], now: float) -> tuple[Upstream, ...]:
        """Of the first three; for the rest in their order."""
        first = tuple(upstreams[:MOST_RESOLVERS])
        self._until = {one: until for one, until in self._until.items() if until > now and one in first}
        return tuple(sorted(first, key=self._until.__contains__))


class Exchange:
    """Lifecycle: start() once; then received(), failed() or expired() until a Reply comes. Each gives what to do next;
    received() gives None while the right answer is still to come.

    An answer is believed when it comes from the socket that asked (the caller's part: it is connected), has the id
    that was drawn for it, and repeats the question; anything else is as if it had not come (CVE-2008-1447).
    """

    def __init__(
        self, query: bytes, question: Question, client_id: int, upstreams: Sequence[Upstream], *, tcp: bool
    ) -> None:
        self._query = query
        self._question = question
        self._client_id = client_id
        # A resolver that does not speak TCP may still have an answer that fits a datagram.
        self._attempts = [(one, tcp) for one in upstreams] + ([(one, False) for one in upstreams] if tcp else [])
        self._next = 0
        self._id = 0
        self._last: bytes | None = None
        self._wrong = 0

    @property
    def upstream(self) -> Upstream:
        """Who was asked last."""
        return self._attempts[self._next - 1][0]

    def start(self, number: int) -> Ask | Reply:
        """number: 16 random bits, here and in all others."""
        return self._go_on(number)

    def received(self, data: bytes, number: int) -> Ask | Reply | None:
        """What came from the socket of the last Ask."""
        answer = self._believable(data)
        if answer is None:
            self._wrong += 1  # a resolver that sends nothing but that must not keep us busy
            return self._go_on(number) if self._wrong % _MOST_WRONG == 0 else None
        final = message.with_id(data, self._client_id)
        if answer.rcode in _TRY_ANOTHER:
            self._last = final
            return self._go_on(number)
        return Reply(final)

    def _believable(self, data: bytes) -> message.Message | None:
        try:
            answer = message.decode(data)
        except Malformed:
            return None
        if answer.id != self._id or not answer.is_response or answer.opcode != 0:
            return None
        if len(answer.questions) != 1 or not answer.questions[0].matches(self._question):
            return None
        return answer

    def failed(self, number: int) -> Ask | Reply:
        """The resolver cannot be reached, or ended the connection."""
        return self._go_on(number)

    def expired(self, number: int) -> Ask | Reply:
        """The deadline has passed."""
        return self._go_on(number)

    def _go_on(self, number: int) -> Ask | Reply:
        if self._next >= len(self._attempts):
            return Reply(self._last if self._last is not None else self._failure())
        upstream, tcp = self._attempts[self._next]
        self._next += 1
        self._id = number & 0xFFFF
        return Ask(upstream, tcp, message.with_id(self._query, self._id))

    def _failure(self) -> bytes:
        query = message.decode(self._query)._replace(id=self._client_id)
        return message.encode(message.reply(query, message.SERVER_FAILURE))


def upstreams(given: Sequence[str], host: Sequence[str]) -> tuple[Upstream, ...]:
    """The resolvers of a container: those that it was given, asked from where it is; else the host's, of which those at
    a loopback address (127.0.0.53, say) are asked from the host.
    """
    if given:
        return tuple(Upstream(one) for one in given)
    return tuple(Upstream(one, host=resolver.is_loopback(one)) for one in host)


def cut(data: bytes, question: Question, limit: int) -> bytes:
    """A resolver's answer as it fits a datagram to the client: whole, or marked as cut so that it asks again by TCP."""
    if len(data) <= limit:
        return data
    flags = int.from_bytes(data[2:4], "big") | message.TRUNCATED
    short = message.Message(int.from_bytes(data[:2], "big"), flags, (question,))
    return message.encode(short)
