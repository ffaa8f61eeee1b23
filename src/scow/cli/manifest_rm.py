"""`scow manifest rm`: forget manifest lists that are kept here."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.manifests import full, lists_of
from scow.client.manifest_lists import NoSuchList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _rm(session: Session, flags: Flags, args: list[str]) -> int:
    lists = lists_of(session)
    errors = []
    for name in args:
        try:
            lists.remove(full(name))
        except NoSuchList as error:
            errors.append(error.message)
    if errors:
        raise Exit(1, "\n".join(errors))
    return 0


COMMAND = Command(
    _rm,
    "MANIFEST_LIST [MANIFEST_LIST...]",
    "Forget manifest lists that are kept here",
    "",
    (),
    1,
    UNLIMITED,
)
