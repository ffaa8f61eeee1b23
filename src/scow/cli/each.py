"""The same request for several containers: sent at once, answered in order, errors at the end."""

from __future__ import annotations

from scow.cli.command import Exit
from scow.cli.output import line
from scow.client.http1 import quote
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scow.client.api import Client, Exchange

AT_ONCE = 50


def for_each(
    client: Client,
    names: Sequence[str],
    method: str,
    path: Callable[[str], str],
    params: Sequence[tuple[str, str]] = (),
    tolerate: Callable[[ScowError], bool] | None = None,
) -> int:
    """Requests `path(name)` for every name and prints the names that worked.

    `tolerate` may take an error over (having reported it). Raises Exit(1) with all other errors, one a line.
    """
    errors: list[str] = []
    for start in range(0, len(names), AT_ONCE):
        batch = names[start : start + AT_ONCE]
        exchanges = [_send(client, method, path(quote(name)), params) for name in batch]
        for name, exchange in zip(batch, exchanges, strict=True):
            try:
                if isinstance(exchange, ScowError):
                    raise exchange
                exchange.answer().read()
                line(name)
            except ScowError as error:
                if tolerate is None or not tolerate(error):
                    errors.append(str(error))
    if errors:
        raise Exit(1, "\n".join(errors))
    return 0


def _send(client: Client, method: str, path: str, params: Sequence[tuple[str, str]]) -> Exchange | ScowError:
    try:
        return client.send(method, path, params)
    except ScowError as error:
        return error
