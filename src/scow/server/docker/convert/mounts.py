"""Volume specifications (`-v`), mounts (`--mount`) and tmpfs maps, to mount wishes and back."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET

from scow.api.host_config import BindSettings, Driver, Mount, TmpfsSettings, VolumeSettings
from scow.errors import InvalidArgument
from scow.model.mounts import MountRequest

_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_CLASSES = (
    frozenset({"ro", "rw"}),
    frozenset({"z", "Z"}),
    _PROPAGATIONS,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated"}),
)
_CONSISTENCIES = ("", "default", "consistent", "cached", "delegated")


def parse_bind(spec: str, driver: str = "") -> MountRequest:
    """`[SOURCE:]TARGET[:MODE]`. A source that begins with / is a host path, any other is a volume's name."""
    parts = spec.split(":")
    source, target, mode = "", "", ""
    if len(parts) == 1:
        (target,) = parts
    elif len(parts) == 2:
        source, target = parts
    elif len(parts) == 3:
        source, target, mode = parts
    if not spec or len(parts) > 3 or (len(parts) > 1 and not source) or (len(parts) == 2 and _mode(target) is not None):
        raise InvalidArgument(f"invalid volume specification: '{spec}'")
    words = _mode(mode) if mode else frozenset[str]()
    if words is None:
        raise InvalidArgument(f"invalid mode: {mode}")
    kind = "bind" if source.startswith("/") else "volume"
    propagation = next(iter(words & _PROPAGATIONS), "")
    problem = _target_problem(target)
    if not problem and kind == "bind" and "nocopy" in words:
        problem = "field VolumeOptions must not be specified"
    if not problem and kind == "volume" and propagation:
        problem = "field BindOptions must not be specified"
    if problem:
        raise InvalidArgument(
            f"invalid volume specification: '{spec}': invalid mount config for type \"{kind}\": {problem}"
        )
    return MountRequest(
        kind,
        target,
        source,
        read_only="ro" in words,
        propagation=propagation,
        create_source=kind == "bind",
        no_copy="nocopy" in words,
        origin="bind",
        mode=mode,
        driver=driver if kind == "volume" else "",
    )


def _mode(text: str) -> frozenset[str] | None:
    """The words of a mode, None when they are none or contradict each other."""
    words = text.split(",")
    found = frozenset(words)
    if len(found) != len(words) or any(len(found & group) > 1 for group in _CLASSES):
        return None
    return found if found <= frozenset().union(*_CLASSES) else None


def _target_problem(target: str) -> str:
    if not target:
        return "field Target must not be empty"
    if not target.startswith("/"):
        return f"invalid mount path: '{target}' mount path must be absolute"
    if not target.strip("/."):
        return "invalid specification: destination can't be '/'"
    return ""


def parse_mount(wire: Mount) -> MountRequest:
    """One `--mount`."""
    kind = wire.Type or ""
    source, target = wire.Source or "", wire.Target or ""
    if kind not in ("bind", "volume", "tmpfs"):
        raise InvalidArgument(f'invalid mount config for type "{kind}": mount type unknown')
    for owner, name, options in (
        ("bind", "BindOptions", wire.BindOptions),
        ("volume", "VolumeOptions", wire.VolumeOptions),
        ("tmpfs", "TmpfsOptions", wire.TmpfsOptions),
        ("cluster", "ClusterOptions", wire.ClusterOptions),
        ("image", "ImageOptions", wire.ImageOptions),
    ):
        if options and owner != kind:
            raise InvalidArgument(f'{name} must not be specified on mount type "{kind}"')
    problem = _target_problem(target)
    if not problem and kind == "bind":
        problem = _bind_problem(source)
    if not problem and kind == "tmpfs" and source:
        problem = "field Source must not be specified"
    if not problem and (wire.Consistency or "") not in _CONSISTENCIES:
        problem = f"invalid consistency mode: {wire.Consistency}"
    if problem:
        raise InvalidArgument(f'invalid mount config for type "{kind}": {problem}')
    read_only = bool(wire.ReadOnly)
    if kind == "bind":
        return _bind_mount(source, target, read_only, wire.BindOptions or BindSettings())
    if kind == "volume":
        return _volume_mount(source, target, read_only, wire.VolumeOptions or VolumeSettings())
    return _tmpfs_mount(target, read_only, wire.TmpfsOptions or TmpfsSettings())


def _bind_problem(source: str) -> str:
    if not source:
        return "field Source must not be empty"
    return "" if source.startswith("/") else f"invalid mount path: '{source}' mount path must be absolute"


def _bind_mount(source: str, target: str, read_only: bool, options: BindSettings) -> MountRequest:
    propagation = options.Propagation or ""
    if propagation and propagation not in _PROPAGATIONS:
        raise InvalidArgument(f'invalid mount config for type "bind": invalid propagation mode: {propagation}')
    if options.ReadOnlyNonRecursive or options.ReadOnlyForceRecursive:
        raise InvalidArgument("BindOptions.ReadOnlyNonRecursive and ReadOnlyForceRecursive are not supported by scow")
    return MountRequest(
        "bind",
        target,
        source,
        read_only=read_only,
        propagation=propagation,
        create_source=bool(options.CreateMountpoint),
        recursive=not options.NonRecursive,
        origin="mount",
    )


def _volume_mount(source: str, target: str, read_only: bool, options: VolumeSettings) -> MountRequest:
    if options.Subpath:
        raise InvalidArgument("VolumeOptions.Subpath is not supported by scow")
    driver = options.DriverConfig or Driver()
    return MountRequest(
        "volume",
        target,
        source,
        read_only=read_only,
        no_copy=bool(options.NoCopy),
        origin="mount",
        labels=dict(options.Labels or {}),
        driver=driver.Name or "",
        driver_options=dict(driver.Options or {}),
    )


def _tmpfs_mount(target: str, read_only: bool, options: TmpfsSettings) -> MountRequest:
    if options.Options:
        raise InvalidArgument("TmpfsOptions.Options is not supported by scow")
    words = []
    if options.SizeBytes:
        if options.SizeBytes < 0:
            raise InvalidArgument(f'invalid mount config for type "tmpfs": invalid size: {options.SizeBytes}')
        words.append(f"size={options.SizeBytes}")
    if options.Mode:
        if not 0 <= options.Mode <= 0o7777:
            raise InvalidArgument(f'invalid mount config for type "tmpfs": invalid mode: {options.Mode}')
        words.append(f"mode={options.Mode:o}")
    return MountRequest("tmpfs", target, read_only=read_only, options=tuple(words), origin="mount")


def parse_tmpfs(tmpfs: Mapping[str, str]) -> Iterable[MountRequest]:
    """`--tmpfs TARGET:OPTIONS`, as a map."""
    for target, options in tmpfs.items():
        problem = _target_problem(target)
        if problem:
            raise InvalidArgument(problem)
        yield MountRequest("tmpfs", target, options=tuple(word for word in options.split(",") if word), origin="tmpfs")


# ---------------------------------------------------------------- back


def show_mount(wish: MountRequest) -> Mount:
    """As the client gave it, for inspect's HostConfig.Mounts."""
    wire = Mount(Type=wish.kind, Target=wish.target)
    if wish.source:
        wire.Source = wish.source
    if wish.read_only:
        wire.ReadOnly = True
    if wish.kind == "bind" and (wish.propagation or wish.create_source or not wish.recursive):
        wire.BindOptions = BindSettings(
            Propagation=wish.propagation or UNSET,
            NonRecursive=True if not wish.recursive else UNSET,
            CreateMountpoint=wish.create_source or UNSET,
        )
    elif wish.kind == "volume" and (wish.no_copy or wish.labels or wish.driver or wish.driver_options):
        driver = Driver(Name=wish.driver or UNSET, Options=wish.driver_options or UNSET)
        wire.VolumeOptions = VolumeSettings(
            NoCopy=wish.no_copy or UNSET,
            Labels=wish.labels or UNSET,
            DriverConfig=driver if wish.driver or wish.driver_options else UNSET,
        )
    elif wish.kind == "tmpfs" and wish.options:
        words = dict(word.split("=", 1) for word in wish.options)
        wire.TmpfsOptions = TmpfsSettings(
            SizeBytes=int(words["size"]) if "size" in words else UNSET,
            Mode=int(words["mode"], 8) if "mode" in words else UNSET,
        )
    return wire
