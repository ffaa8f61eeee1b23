"""Platforms: os/architecture[/variant], their other spellings, and which image a host can run."""

import os
from dataclasses import dataclass

from scow.errors import InvalidArgument

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "mips64el": ("mips64le", ""),
}
_SYSTEMS = frozenset(
    {"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "illumos", "aix", "wasip1"}
)
_KNOWN = frozenset("386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm".split())
_ARM = ("v8", "v7", "v6", "v5")
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


class InvalidPlatform(InvalidArgument):
    """Text that should be a platform is not one."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image is built for. `variant` is "" for the architecture's usual one (arm64: v8, amd64: v1, arm: v7)."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """`linux/arm/v7`, `arm64` or `linux`; what is missing comes from the host."""
        parts = text.lower().split("/")
        if len(text) > 128 or len(parts) > 3 or not all(part and _ALLOWED.issuperset(part) for part in parts):
            raise InvalidPlatform(f'"{text[:128]}": cannot parse platform specifier: invalid argument')
        host = host_platform()
        if len(parts) > 1:
            return cls.normalised(*parts)
        if parts[0] in _SYSTEMS:
            return cls(parts[0], host.architecture, host.variant)
        guess = cls.normalised(host.os, parts[0])
        if guess.architecture in _KNOWN:
            return guess
        raise InvalidPlatform(f'"{text}": unknown operating system or architecture: invalid argument')

    @classmethod
    def normalised(cls, system: str, architecture: str, variant: str = "") -> "Platform":
        """One spelling for each platform: aarch64 is arm64, arm64/v8 is arm64, arm is arm/v7."""
        architecture = architecture.lower()
        variant = variant.lower()
        if architecture in _ARCHITECTURES:
            architecture, implied = _ARCHITECTURES[architecture]
            variant = variant or implied
        if architecture == "arm":
            variant = "v" + variant if variant.isdigit() else variant or "v7"
        if (architecture, variant) in (("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")):
            variant = ""
        return cls("darwin" if system == "macos" else system.lower(), architecture, variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def runs(self, image: "Platform") -> int | None:
        """How well this platform runs `image`: 0 is exact, more is worse, None is not at all."""
        if self.os != image.os:
            return None
        choices = list(_runnable(self.architecture, self.variant))
        wanted = (image.architecture, image.variant)
        return choices.index(wanted) if wanted in choices else None


def _runnable(architecture: str, variant: str) -> "list[tuple[str, str]]":
    """What a processor runs, best first. A newer variant runs the older ones; arm64 also runs 32-bit arm."""
    if architecture == "amd64":
        level = int(variant[1:]) if variant[:1] == "v" and variant[1:].isdigit() else 1
        return [("amd64", f"v{number}" if number > 1 else "") for number in range(min(level, 9), 0, -1)]
    if architecture == "arm64":
        return [("arm64", variant), ("arm64", ""), *(("arm", older) for older in _ARM)]
    if architecture == "arm" and variant in _ARM:
        return [("arm", older) for older in _ARM[_ARM.index(variant) :]]
    return [(architecture, variant)]


def host_platform() -> Platform:
    """The machine that scow runs on."""
    system = os.uname()
    return Platform.normalised(system.sysname, system.machine)
