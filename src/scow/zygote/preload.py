"""Everything that monitors may ever need, imported and looked up before the first fork.

A monitor must not import later: its files may have been replaced by an upgrade, and after entering a container they
would be the container's.
"""

import encodings.ascii
import encodings.idna
import encodings.latin_1
import encodings.utf_8
import time

from scow.linux import cgroup, cgroup_v1, cgroup_v2
from scow.logs import timestamps
from scow.logs.drivers import discard, encode, jsonfile, opening, rotation
from scow.monitor import commands, main
from scow.runtime.launch import warm

MODULES = (
    encodings.ascii,
    encodings.idna,
    encodings.latin_1,
    encodings.utf_8,
    cgroup,
    cgroup_v1,
    cgroup_v2,
    discard,
    encode,
    jsonfile,
    opening,
    rotation,
    commands,
    main,
)


def load() -> None:
    """Run what is lazy once."""
    for name in ("ascii", "latin-1", "utf-8"):
        "x".encode(name).decode(name)
    b"\xff".decode("utf-8", "surrogateescape").encode("utf-8", "xmlcharrefreplace")
    "\xe9".encode("ascii", "backslashreplace")
    encode.escape(b'\xff"\n<\xe2\x80\xa8')
    timestamps.format_trimmed(time.time_ns())
    warm()
