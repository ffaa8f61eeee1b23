"""One SQLite file (WAL) that holds what must not be lost. All writes go through one thread and are committed in groups.

`read` answers from a connection of the calling thread. `write` hands a function to the writer thread: functions that
wait together are committed together (one fsync), each in its own savepoint, so that one that raises undoes only itself.
When `write` returns, its change is on disk.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from scow.errors import DataLoss, ResourceExhausted, Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Done = Callable[[Any, BaseException | None], None]
_MAX_GROUP = 64
_RESERVE = 256 << 10  # bytes held back, so that something can be deleted when the disk is full


@dataclass(frozen=True, slots=True)
class _Item:
    work: Work
    done: Done
    durable: bool


class Database:
    """Lifecycle: the constructor opens and migrates; any thread may `read`, a loop may `write`; `close` waits for
    writes.
    """

    def __init__(self, path: str, migrations: Sequence[tuple[int, Sequence[str]]]) -> None:
        self._path = path
        self._reserve = f"{path}-reserve"
        self._local = threading.local()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        try:
            with contextlib.closing(self._open()) as connection:
                _migrate(connection, migrations)
        except sqlite3.DatabaseError as error:
            typed = _typed(error, path)
            raise DataLoss(f"cannot open the database {path}: {error}") if typed is error else typed from error
        self._keep_reserve()
        self._thread = threading.Thread(target=self._serve, name="database", daemon=True)
        self._thread.start()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")  # durable at commit also when the machine loses power
        connection.execute("pragma foreign_keys=on")
        connection.execute("pragma busy_timeout=5000")
        return connection

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """All rows of a query, as tuples."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open()
        return list(connection.execute(sql, parameters))

    async def write(self, work: Callable[[sqlite3.Connection], T], *, frees: bool = False, durable: bool = True) -> T:
        """Run `work(connection)` in the writer's transaction; returns its value once it is durable. Without `durable`
        it survives everything but the machine's end, and does not wait for the disk.

        Cancelling the caller does not undo the write. `work` must not commit and must not keep the connection.
        ResourceExhausted when the disk is full; with `frees` (it lets go of something) the reserve is used up first.
        """
        try:
            return await self._write(work, durable)
        except ResourceExhausted:
            if not frees:
                raise
            try:
                os.unlink(self._reserve)
            except FileNotFoundError:
                pass
        return await self._write(work, durable)

    async def _write(self, work: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(value: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        def done(value: Any, error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, value, error)

        self._queue.put(_Item(work, done, durable))
        return await asyncio.shield(future)

    def write_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `write`, for callers without a loop (start-up, tests): blocks until it is durable."""
        ready = threading.Event()
        result: list[Any] = []

        def done(value: Any, error: BaseException | None) -> None:
            result.extend((value, error))
            ready.set()

        self._queue.put(_Item(work, done, durable=True))
        ready.wait()
        if result[1] is not None:
            raise result[1]
        return result[0]  # type: ignore[no-any-return]

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        connection = self._open()
        stopping = False
        while not stopping:
            group = [self._queue.get()]
            while len(group) < _MAX_GROUP and not self._queue.empty():
                group.append(self._queue.get())
            stopping = None in group
            had_room = _commit_group(connection, [item for item in group if item is not None], self._path)
            if had_room and not os.path.exists(self._reserve):  # else somebody may have given it up for his next try
                self._keep_reserve()
        connection.close()

    def _keep_reserve(self) -> None:
        """Hold back some room; where there is none now, later."""
        try:
            fd = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(fd, 0, _RESERVE)
        except OSError:
            os.unlink(self._reserve)
        finally:
            os.close(fd)


def _commit_group(connection: sqlite3.Connection, group: Sequence[_Item], path: str) -> bool:
    """Whether there was a group, it was committed, and nothing of it lacked room."""
    if not group:
        return False
    outcomes: list[tuple[Done, Any, BaseException | None]] = []
    try:
        # full: the commit waits for the disk; normal: a later one does. The log stays in order either way.
        connection.execute(f"pragma synchronous={'full' if any(item.durable for item in group) else 'normal'}")
        connection.execute("begin immediate")
        for item in group:
            connection.execute("savepoint one")
            try:
                value = item.work(connection)
            except Exception as error:  # it belongs to the caller, whatever it is
                if not connection.in_transaction:  # on a full disk, SQLite itself has undone all
                    raise
                connection.execute("rollback to one")
                outcomes.append((item.done, None, _typed(error, path)))
            else:
                outcomes.append((item.done, value, None))
            connection.execute("release one")
        connection.execute("commit")
    except Exception as error:  # noqa: BLE001 - the disk is full or broken: nothing of the group happened
        if connection.in_transaction:
            connection.execute("rollback")
        outcomes = [(item.done, None, _typed(error, path)) for item in group]
    for done, value, error_or_none in outcomes:
        done(value, error_or_none)
    return not any(isinstance(error, (ResourceExhausted, Unavailable)) for _, _, error in outcomes)


def _typed(error: BaseException, path: str) -> BaseException:
    """What the machine does not let SQLite do, as an error for the user; any other as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return ResourceExhausted(f"cannot write to {path}: no space left on device")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return Unavailable(f"cannot use the database {path}: {error}")
    return error


def _migrate(connection: sqlite3.Connection, migrations: Sequence[tuple[int, Sequence[str]]]) -> None:
    (current,) = connection.execute("pragma user_version").fetchone()
    newest = max((number for number, _ in migrations), default=0)
    if current > newest:
        raise DataLoss(f"the database has version {current}, this scow knows versions up to {newest}: use a newer scow")
    for number, statements in sorted(migrations):
        if number <= current:
            continue
        connection.execute("begin immediate")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"pragma user_version={int(number)}")
        connection.execute("commit")
