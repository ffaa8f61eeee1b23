"""Keeps the kernel's table equal to what networks and publications there are."""

import contextlib
import errno
import logging
from collections.abc import Mapping
from dataclasses import replace

from scow.errors import Unavailable
from scow.linux import nftables
from scow.network.ruleset import Publications, Shape, Wall, Way, elements, rule_count, ruleset

_log = logging.getLogger("scow.network")


class Firewall:
    """Every method blocks; one thread at a time uses it."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._published: dict[str, Publications] = {}
        self._nftables: nftables.Nftables | None = None
        self._rules: tuple[int, ...] | None = None

    @property
    def shape(self) -> Shape:
        return self._shape

    def load(self, published: Mapping[str, Publications]) -> None:
        """Replace the table in one transaction. Unavailable when nftables cannot be had on this machine. A kernel without
        tables for both families gets one for IPv4.
        """
        self._published = dict(published)
        self._drop_other_family()
        try:
            self.reload()
        except Unavailable:
            if not self._shape.ipv6:
                raise
            self._shape = replace(self._shape, ipv6=False)
            self.reload()
            _log.warning(
                "this kernel has no nftables table for IPv4 and IPv6: ports are published natively at IPv4 only"
            )

    def _drop_other_family(self) -> None:
        """What an earlier version of scow left: a table of family ip would go on publishing what is gone."""
        other = f"table {'ip' if self._shape.ipv6 else 'inet'} {self._shape.table}"
        with contextlib.suppress(nftables.RulesetError):
            nftables.load(f"{other} {{\n}}\ndelete {other}\n")

    def reload(self) -> None:
        """The whole table anew, in one transaction."""
        try:
            text = ruleset(self._shape, self._published.values())
            nftables.load(text)
            if self._nftables is None:
                self._nftables = nftables.Nftables(self._shape.table, inet=self._shape.ipv6)
            found = self._nftables.fingerprint(())
            # fewer: somebody was there between the two; whoever tells of it finds that the table is not as it should be
            self._rules = found[0] if found and len(found[0]) == rule_count(text) else None
        except (nftables.RulesetError, OSError) as error:
            raise Unavailable(f"cannot load the nftables table {self._shape.table}: {error}") from error

    @property
    def port(self) -> int:
        """Where our own changes of elements come from; -1 before `load`."""
        return self._nftables.port if self._nftables is not None else -1

    def heal(self) -> bool:
        """Rebuild the table if it is not as it should be; True when it was not."""
        if self._nftables is None:
            return False
        wanted = elements(self._published.values(), ipv6=self._shape.ipv6)
        found = self._nftables.fingerprint(list(wanted))
        if found is not None and found == (self._rules, tuple(len(entries) for entries in wanted.values())):
            return False
        self.reload()
        return True

    def reshape(self, walls: tuple[Wall, ...]) -> None:
        """Other networks; one transaction. Nothing is changed when it fails."""
        self._change_shape(replace(self._shape, walls=walls))

    def link(self, ways: frozenset[Way]) -> None:
        """Other ways between neighbours that are kept apart; as `reshape`."""
        if ways != self._shape.links:
            self._change_shape(replace(self._shape, links=ways))

    def _change_shape(self, shape: Shape) -> None:
        before, self._shape = self._shape, shape
        try:
            self.reload()
        except Unavailable:
            self._shape = before
            raise

    def publish(self, container_id: str, publications: Publications) -> None:
        """One transaction, replacing what the container published before. If the table is not as it should be (somebody
        flushed it), it is rebuilt as a whole.
        """
        before = self._published.get(container_id)
        self._published[container_id] = publications
        try:
            self._change(before, publications)
        except Unavailable:
            if before is None:
                del self._published[container_id]
            else:
                self._published[container_id] = before
            raise

    def withdraw(self, container_id: str) -> None:
        """One transaction; no error when nothing was published."""
        publications = self._published.pop(container_id, None)
        if publications is not None:
            self._change(publications, None)

    def _change(self, gone: Publications | None, new: Publications | None) -> None:
        if self._nftables is None:
            return self.reload()
        before, after = (elements([one] if one else [], ipv6=self._shape.ipv6) for one in (gone, new))
        try:
            self._nftables.replace(before, after)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EEXIST, errno.EBUSY):
                raise Unavailable(f"cannot change the nftables table {self._shape.table}: {error}") from error
            self.reload()

    def destroy(self) -> None:
        """Remove the table: every published port closes, and the bridges are no longer guarded."""
        head = f"table {self._shape.family} {self._shape.table}"
        nftables.load(f"{head} {{\n}}\ndelete {head}\n")
        self._published.clear()
        self.close()  # a look at the table that was asked for before rebuilds nothing

    def close(self) -> None:
        """The table stays: traffic of live containers goes on."""
        if self._nftables is not None:
            self._nftables.close()
            self._nftables = None
