"""debian: the smallest system that has apt, of the host's release, made by mmdebstrap from signed packages."""

import os
from collections.abc import Callable

from scow.images.starter import command

CONFIG = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["bash"]}
CREATED_BY = "scow image bootstrap debian"

_DEFAULT = "bookworm"
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
_EXCLUDED = ("man", "info", "locale", "lintian", "linda")
_APT = """# A container is not kept up to date by apt from within: no caches, no translations.
Acquire::Languages "none";
Acquire::GzipIndexes "true";
APT::AutoRemove::SuggestsImportant "false";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
_DPKG = "force-unsafe-io\n"
_POLICY = (
    "#!/bin/sh\n# Services are started by the container's command, never by the installation of a package.\nexit 101\n"
)


def codename() -> str:
    """The release to build: the host's own when it is Debian."""
    facts: dict[str, str] = {}
    with open("/etc/os-release", encoding="utf-8") as stream:
        for line in stream:
            key, _, value = line.strip().partition("=")
            facts[key] = value.strip('"')
    name = facts.get("VERSION_CODENAME", "")
    return name if facts.get("ID") == "debian" and name.isalpha() else _DEFAULT


async def build(tree: str, work: str, tell: Callable[[str], None]) -> None:
    """Fill the empty directory `tree`."""
    program = command.find("mmdebstrap", "mmdebstrap")
    options = [
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
        "--aptopt=APT::Install-Recommends false",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED),
    ]
    release = codename()
    if release == "bookworm" and os.path.isdir(_MERGED_USR):
        options += [f"--hook-dir={_MERGED_USR}", "--include=usr-is-merged"]  # else usrmerge brings all of perl
    await command.run([program, *options, release, tree], tell, work)
    _write(f"{tree}/etc/apt/apt.conf.d/90container", _APT)
    _write(f"{tree}/etc/dpkg/dpkg.cfg.d/90container", _DPKG)
    _write(f"{tree}/usr/sbin/policy-rc.d", _POLICY, 0o755)
    for name in ("etc/hostname", "etc/resolv.conf", "etc/machine-id"):
        _write(f"{tree}/{name}", "")  # the host's own, of no use elsewhere
    clean(tree)


def clean(tree: str) -> None:
    """Remove what package tools leave behind."""
    for directory in ("var/lib/apt/lists", "var/cache/apt", "var/log/apt", "var/cache/debconf"):
        for parent, _, files in os.walk(f"{tree}/{directory}"):
            for name in files:
                if name not in ("lock", "templates.dat", "config.dat", "passwords.dat"):
                    os.unlink(f"{parent}/{name}")
    for name in ("dpkg.log", "bootstrap.log", "alternatives.log", "faillog", "lastlog"):
        try:
            os.unlink(f"{tree}/var/log/{name}")
        except FileNotFoundError:
            pass


def _write(path: str, text: str, mode: int = 0o644) -> None:
    try:
        os.unlink(path)  # a link here would lead out of the tree
    except FileNotFoundError:
        pass
    with open(path, "x", encoding="ascii") as stream:
        stream.write(text)
    os.chmod(path, mode)
