"""nginx: the distribution's nginx-light on top of the debian image, installed in an overlay in a private namespace.

The writable directory of that overlay is the new layer. The mounts live in the mount namespace of the installing
process only and vanish with it.
"""

import os
from collections.abc import Callable, Sequence

from scow.images.starter import command

CONFIG = {
    "Cmd": ["nginx", "-g", "daemon off;"],
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGQUIT",
}
CREATED_BY = "scow image bootstrap nginx"

_MOUNT = """
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3,redirect_dir=off,metacopy=off" "$4"
mount -t proc proc "$4/proc"
mount --bind /etc/resolv.conf "$4/etc/resolv.conf"
exec chroot "$4" /bin/sh -c "$5"
"""
_INSTALL = """
set -eu
apt-get update -q
apt-get install -q -y -o Dpkg::Use-Pty=0 --no-install-recommends nginx-light
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
rm -f /var/cache/debconf/*-old /var/lib/dpkg/*-old
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
"""


async def build(tree: str, work: str, tell: Callable[[str], None], lowers: Sequence[str]) -> None:
    """Fill the empty directory `tree` with what the installation changes; `lowers` are debian's layers, top first."""
    program = command.find("unshare", "util-linux")
    for name in ("scratch", "merged"):
        os.mkdir(f"{work}/{name}", 0o755)
    await command.run(
        [
            program,
            "--mount",
            "--propagation",
            "private",
            "/bin/sh",
            "-c",
            _MOUNT,
            "sh",
            ":".join(lowers),
            tree,
            f"{work}/scratch",
            f"{work}/merged",
            _INSTALL,
        ],
        tell,
        work,
    )
