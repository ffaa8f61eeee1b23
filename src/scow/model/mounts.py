"""What a user asks to be mounted into a container, and what was mounted."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MountRequest:
    """One wish from -v, --mount, --tmpfs or an image's VOLUME.

    kind: bind, volume or tmpfs. source: host path, volume name ("" makes an anonymous volume), or "" for tmpfs.
    target: absolute path in the container. propagation: private, rprivate, shared, rshared, slave, rslave or "".
    options: tmpfs mount options in mount(8) words, e.g. ("size=64m", "mode=1777").
    create_source: a missing bind source is made as a directory (-v does, --mount does not).
    origin: bind (-v), mount (--mount), tmpfs (--tmpfs) or image (VOLUME); inspect shows them at different places.
    """

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    propagation: str = ""
    options: tuple[str, ...] = ()
    create_source: bool = False
    no_copy: bool = False
    recursive: bool = True
    origin: str = "bind"
    mode: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    driver: str = ""
    driver_options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One mount of a container as inspect shows it: `source` is the host path (a volume's data directory for
    volumes).
    """

    kind: str
    target: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    read_only: bool = False
    propagation: str = ""
    options: tuple[str, ...] = ()
    no_copy: bool = False
