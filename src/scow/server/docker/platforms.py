"""The query parameter `platform` of routes about images that are here."""

import msgspec

from scow.errors import InvalidArgument
from scow.server.docker.call import Call


def platform_of(call: Call) -> str:
    """`platform`: text as scow's CLI sends it, or the JSON object of API 1.48; "" for none."""
    text = call.text("platform")
    if not text.startswith("{"):
        return text
    try:
        value = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"failed to parse platform: {error}") from None
    parts = [value.get(key) for key in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if isinstance(part, str) and part)
