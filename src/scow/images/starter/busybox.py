"""busybox: the static binary of the distribution, a hard link for each applet, and the few files a root needs."""

import os
import shutil
import struct
from collections.abc import Callable

from scow.images.starter import command

CONFIG = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
CREATED_BY = "scow image bootstrap busybox"

_PT_INTERP = 3
_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/spool": 0o755,
    "var/spool/mail": 0o755,
    "var/www": 0o755,
}
_FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "bin:x:2:2:bin:/bin:/bin/false\n"
        "sys:x:3:3:sys:/dev:/bin/false\n"
        "sync:x:4:100:sync:/bin:/bin/sync\n"
        "mail:x:8:8:mail:/var/spool/mail:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\n"
        "operator:x:37:37:Operator:/var:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n"
    ),
    "etc/group": (
        "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\nkmem:x:9:\n"
        "wheel:x:10:root\ndialout:x:20:\ncdrom:x:24:\nwww-data:x:33:\noperator:x:37:\nutmp:x:43:\n"
        "audio:x:29:\nvideo:x:44:\nplugdev:x:46:\nstaff:x:50:\nusers:x:100:\nnogroup:x:65534:\n"
    ),
    "etc/shadow": "root:*:10933:0:99999:7:::\nnobody:*:10933:0:99999:7:::\n",
}


async def build(tree: str, work: str, tell: Callable[[str], None]) -> None:
    """Fill the empty directory `tree`. `work` is scratch space."""
    binary = _installed()
    if binary is None:
        binary = await _download(work, tell)
    for name, mode in _DIRECTORIES.items():
        os.mkdir(f"{tree}/{name}", mode)
        os.chmod(f"{tree}/{name}", mode)
    for name, text in _FILES.items():
        with open(f"{tree}/{name}", "w", encoding="ascii") as stream:
            stream.write(text)
    os.chmod(f"{tree}/etc/shadow", 0o640)
    shutil.copyfile(binary, f"{tree}/bin/busybox")
    os.chmod(f"{tree}/bin/busybox", 0o755)
    shutil.copystat(binary, f"{tree}/bin/busybox")
    listed: list[str] = []
    await command.run([binary, "--list"], listed.append)
    applets = [name for name in listed if name.isprintable() and "/" not in name and name != "busybox"]
    for name in applets:
        os.link(f"{tree}/bin/busybox", f"{tree}/bin/{name}")
    os.symlink("../../bin/env", f"{tree}/usr/bin/env")
    built = os.stat(binary).st_mtime_ns  # the same binary gives the same image
    for parent, _, files in os.walk(tree, topdown=False):
        for name in (*files, "."):
            os.utime(f"{parent}/{name}", ns=(built, built), follow_symlinks=False)
    tell(f"busybox with {len(applets)} applets")


def _installed() -> str | None:
    """The host's busybox when it is a static one: a file of the package busybox-static."""
    for path in ("/usr/bin/busybox", "/bin/busybox"):
        if os.path.isfile(path) and _is_static(path):
            return path
    return None


def _is_static(path: str) -> bool:
    """Whether a 64-bit little-endian ELF program names no loader (has no PT_INTERP header)."""
    with open(path, "rb") as stream:
        head = stream.read(4096)
    if head[:6] != b"\x7fELF\x02\x01":
        return False
    (start,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    if start + size * count > len(head):
        return False
    return all(struct.unpack_from("<I", head, start + number * size)[0] != _PT_INTERP for number in range(count))


async def _download(work: str, tell: Callable[[str], None]) -> str:
    """busybox-static from the distribution, checked by apt, not installed on the host."""
    apt, dpkg = command.find("apt-get", "apt"), command.find("dpkg-deb", "dpkg")
    await command.run([apt, "download", "-q", "busybox-static"], tell, work)
    packages = [name for name in os.listdir(work) if name.endswith(".deb")]
    if not packages:
        raise command.CommandFailed("apt-get download busybox-static brought no package")
    await command.run([dpkg, "-x", f"{work}/{packages[0]}", f"{work}/busybox-static"], tell)
    for path in ("usr/bin/busybox", "bin/busybox"):
        if os.path.isfile(f"{work}/busybox-static/{path}"):
            return f"{work}/busybox-static/{path}"
    raise command.CommandFailed("busybox-static has no busybox")
