"""`scow build --check`: the build checks, without a build; and the place of what is wrong in a Dockerfile."""

from __future__ import annotations

from scow.build.frontend import lint, parser
from scow.build.frontend.errors import DockerfileError
from scow.build.frontend.ignore import IgnoreRules
from scow.cli.command import Exit
from scow.cli.output import line
from scow.client.api import ApiError
from scow.client.http1 import quote
from scow.errors import InvalidArgument, ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session


def check(session: Session, text: str, name: str, ignore: str | None, platform: str) -> int:
    """1 when something was found. Base images that the daemon has are asked for their variables and platforms."""
    try:
        dockerfile = parser.parse(text, name)
        chosen = lint.options(dockerfile)
        rules = None if ignore is None else IgnoreRules.parse(ignore)
    except DockerfileError as error:
        raise Exit(1, error.shown) from None
    except InvalidArgument as error:
        raise Exit(1, f".dockerignore: {error.message}") from None
    images = _Images(session)
    around = lint.Surroundings(rules, images.variables, images.platform, platform)
    found = lint.check(dockerfile, around, chosen)
    for warning in found:
        line(f"{lint.shown(warning, dockerfile)}\n")
    if not found:
        line("Check complete, no warnings found.")
        return 0
    count = len(found)
    line(f"Check complete, {count} {'warning has' if count == 1 else 'warnings have'} been found!")
    if chosen.error:
        raise Exit(1, f"ERROR: {lint.violation(found)}")
    return 1


def place(text: str, name: str) -> str:
    """The lines of the Dockerfile around what is wrong with it, "" when nothing is."""
    try:
        parser.parse(text, name)
    except DockerfileError as error:
        return error.shown.removesuffix(error.message).rstrip() if error.line else ""
    return ""


class _Images:
    """What the daemon knows of images, each asked for once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, dict[str, object]] = {}

    def variables(self, image: str) -> tuple[str, ...] | None:
        config = self._image(image).get("Config")
        if not isinstance(config, dict):
            return None
        return tuple(str(entry).partition("=")[0] for entry in config.get("Env") or ())

    def platform(self, image: str) -> str | None:
        found = self._image(image)
        parts = [str(found.get(key) or "") for key in ("Os", "Architecture", "Variant")]
        return "/".join(filter(None, parts)) or None

    def _image(self, image: str) -> dict[str, object]:
        if image not in self._known:
            try:
                answer = self._session.client.get(f"/images/{quote(image, '/:@')}/json") if image else None
            except (ApiError, ScowError, OSError):
                answer = None
            self._known[image] = answer if isinstance(answer, dict) else {}
        return self._known[image]
