"""All containers the daemon knows, in memory, over the durable store; and what hangs on each while the daemon lives."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from scow.engine.ports import Attachment, ExecTask, Task
from scow.errors import Conflict, InvalidArgument, NotFound
from scow.metadata.containers import ContainerStore
from scow.model.container import Container, Status
from scow.model.execution import Exec


@dataclass(slots=True)
class ExecEntry:
    """One exec and its handle while it runs."""

    record: Exec
    task: ExecTask | None = None


@dataclass(slots=True)
class Standstill:
    """Who needs the container to stand still: how many, and whether the pause is theirs (`ours`) or the user's."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    ours: bool = False


@dataclass(slots=True)
class Entry:
    """A container and its volatile surroundings.

    `lock` orders start, exit and remove of this one container; nothing waits for a process while holding it.
    `exits` are futures for the next exit, `removals` for the removal. `pending` are attachments that wait for a start.
    `removing`: a remove is under way. `restarting`: a restart is between its stop and its start.
    `keeping`: the recording of the last exit, while it goes on.
    `checking` does its health checks; `check_task` and `check_output` are the present one's.
    """

    container: Container
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: Task | None = None
    exits: list["asyncio.Future[int]"] = field(default_factory=list)
    removals: list["asyncio.Future[int]"] = field(default_factory=list)
    pending: list[Attachment] = field(default_factory=list)
    execs: dict[str, ExecEntry] = field(default_factory=dict)
    restart: "asyncio.Task[None] | None" = None
    keeping: "asyncio.Task[None] | None" = None
    backoff: float = 0.0
    checking: "asyncio.Task[None] | None" = None
    check_task: ExecTask | None = None
    check_output: bytearray = field(default_factory=bytearray)
    standstill: Standstill = field(default_factory=Standstill)
    removing: bool = False
    restarting: bool = False

    @property
    def running(self) -> bool:
        return self.task is not None

    async def settled(self) -> None:
        """Wait for a start that is under way: its output is seen before its answer, and who has seen it may act on
        it at once.
        """
        if self.task is None and self.lock.locked():
            async with self.lock:
                return


def _lasting(entry: Entry) -> bool:
    """Whether its record must outlive the machine's end: one that then ends with --rm is removed at the next start."""
    return not entry.container.host.auto_remove


class ContainerRegistry:
    """Lookup by id, name and id prefix. Names are taken when `reserve` returns and given back by
    `release`/`discard`.
    """

    def __init__(self, store: ContainerStore) -> None:
        self.store = store
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._execs: dict[str, Entry] = {}

    def load(self) -> None:
        for container in self.store.load():
            self._entries[container.id] = Entry(container)
            self._names[container.name] = container.id

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __contains__(self, container_id: object) -> bool:
        return container_id in self._entries

    def get(self, container_id: str) -> Entry | None:
        """By full id only."""
        return self._entries.get(container_id)

    def find(self, name: str) -> Entry:
        """By full id, then name (with or without a leading slash; also PARENT/ALIAS of a link), then unambiguous id prefix,
        as Docker does.
        """
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        owner = self._names.get(name.removeprefix("/"))
        if owner is not None and owner in self._entries:
            return self._entries[owner]
        linked = self._linked(name.removeprefix("/"))
        if linked is not None:
            return linked
        if not name:
            raise InvalidArgument("container name or id is empty")
        matches = [entry for id_, entry in self._entries.items() if id_.startswith(name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {name}")
        raise NotFound(f"No such container: {name}")

    def _linked(self, name: str) -> Entry | None:
        """PARENT/ALIAS: the container that a link leads to."""
        parent, _, alias = name.partition("/")
        entry = self._entries.get(self._names.get(parent, "")) if alias else None
        links = entry.container.status.links if entry is not None else ()
        return next((self._entries.get(link.container_id) for link in links if link.alias == alias), None)

    def reserve(self, name: str, container_id: str) -> None:
        """Take a name for a container that is being made or renamed."""
        owner = self._names.get(name)
        if owner is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        self._names[name] = container_id

    def release(self, name: str) -> None:
        self._names.pop(name, None)

    async def add(self, container: Container) -> Entry:
        """Make it durable and visible. Its name must be reserved."""
        await self.store.insert(container)
        entry = self._entries[container.id] = Entry(container)
        return entry

    async def discard(self, entry: Entry) -> None:
        """Forget it durably; its name is free when this returns."""
        await self.store.delete(entry.container.id, durable=_lasting(entry))
        self._entries.pop(entry.container.id, None)
        self.release(entry.container.name)
        for exec_id in entry.execs:
            self._execs.pop(exec_id, None)

    def set_status(self, entry: Entry, status: Status) -> None:
        """Replace the status in memory; the caller decides when it must be on disk (`save`)."""
        entry.container = replace(entry.container, status=status)

    async def save(self, entry: Entry) -> None:
        await self.store.set_status(entry.container.id, entry.container.status, durable=_lasting(entry))

    async def rename(self, entry: Entry, name: str) -> None:
        old = entry.container.name
        self.reserve(name, entry.container.id)
        try:
            await self.store.rename(entry.container.id, name)
        except BaseException:
            self.release(name)
            raise
        entry.container = replace(entry.container, name=name)
        self.release(old)

    def add_exec(self, entry: Entry, record: Exec) -> ExecEntry:
        item = entry.execs[record.id] = ExecEntry(record)
        self._execs[record.id] = entry
        return item

    def find_exec(self, exec_id: str) -> tuple[Entry, ExecEntry]:
        """By full id or unambiguous prefix."""
        entry = self._execs.get(exec_id)
        if entry is None and exec_id:
            matches = [id_ for id_ in self._execs if id_.startswith(exec_id)]
            if len(matches) == 1:
                exec_id, entry = matches[0], self._execs[matches[0]]
        if entry is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return entry, entry.execs[exec_id]

    def drop_exec(self, entry: Entry, exec_id: str) -> None:
        """Forget one that nobody will ask for."""
        entry.execs.pop(exec_id, None)
        self._execs.pop(exec_id, None)

    def drop_execs(self, entry: Entry) -> None:
        """Forget ended execs, as a new start does: until then a client may still ask how its exec ended."""
        for exec_id in [id_ for id_, item in entry.execs.items() if item.task is None]:
            del entry.execs[exec_id]
            self._execs.pop(exec_id, None)
