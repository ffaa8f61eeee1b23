"""The `attrs` of json-file records: labels, variables and a tag that log options choose. Pure; for the daemon's side."""

import re
from collections.abc import Mapping

from scow.errors import StartFailure

_FAILED = "failed to create task for container: failed to initialize logging driver: "
_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def attributes(
    options: Mapping[str, str], *, labels: Mapping[str, str], env: Mapping[str, str], fields: Mapping[str, str]
) -> dict[str, str]:
    """What the options `labels`, `labels-regex`, `env`, `env-regex` and `tag` select.

    `fields` are the names that a tag may use: ID (12 characters), FullID, Name, ImageName, ImageID, ImageFullID,
    DaemonName, Command. Raises StartFailure for an expression or a template that cannot be read.
    """
    chosen: dict[str, str] = {}
    for values, option in ((labels, "labels"), (env, "env")):
        wanted = {name.strip() for name in options.get(option, "").split(",")}
        pattern = _pattern(options.get(f"{option}-regex", ""))
        for name, value in values.items():
            if name in wanted or (pattern is not None and pattern.search(name)):
                chosen[name] = value
    if options.get("tag"):
        chosen["tag"] = tag(options["tag"], fields)
    return chosen


def _pattern(text: str) -> "re.Pattern[str] | None":
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        reason = "missing closing ]" if "unterminated character set" in error.msg else error.msg
        raise StartFailure(f"{_FAILED}error parsing regexp: {reason}: `{text}`") from None


def tag(template: str, fields: Mapping[str, str]) -> str:
    """A tag with its {{.Field}} actions filled in."""

    def fill(action: "re.Match[str]") -> str:
        word = action.group(1).strip()
        if word.startswith(".") and word[1:] in fields:
            return fields[word[1:]]
        if re.fullmatch(r"\.\w+", word):
            column = action.start() + 2
            raise StartFailure(
                f'{_FAILED}template: log-tag:1:{column}: executing "log-tag" at <{word}>: '
                f"can't evaluate field {word[1:]} in type *logger.Info"
            )
        raise StartFailure(f"{_FAILED}template: log-tag:1: unexpected {word!r} in a tag")

    text = _ACTION.sub(fill, template)
    if "{{" in _ACTION.sub("", template):
        raise StartFailure(f"{_FAILED}template: log-tag:1: unclosed action")
    return text
