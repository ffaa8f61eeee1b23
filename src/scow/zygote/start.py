"""The zygote's first steps, before it imports what its monitors use."""

import importlib

from scow.linux import own_binary
from scow.zygote.placement import fill_holes

# They are large, they throw much away while they are imported, and monitors use little of them.
_FIRST = (
    "calendar",
    "dataclasses",
    "encodings.idna",
    "fcntl",
    "hashlib",
    "json",
    "select",
    "socket",
    "termios",
    "typing",
    "zlib",
)


def main(fd: int) -> None:
    """As zygote.main.main."""
    own_binary.run_read_only()  # monitors inherit it: no container can write to the interpreter (CVE-2019-5736)
    for name in _FIRST:
        importlib.import_module(name)
    fill_holes()
    from scow.zygote.main import main as serve

    serve(fd)
