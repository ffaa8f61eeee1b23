"""The columns of `scow ps`."""

from __future__ import annotations

from scow.cli.listing import Listing, Row
from scow.cli.moments import ago, local_string
from scow.cli.template.printing import quoted
from scow.cli.units import ellipsis, human_size, short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_HEADERS = {
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Labels": "LABELS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Mounts": "MOUNTS",
    "Names": "NAMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
    "Ports": "PORTS",
    "RunningFor": "CREATED",
    "Size": "SIZE",
    "State": "STATE",
    "Status": "STATUS",
}
_TABLE = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def listing(size: bool) -> Listing:
    """The table, with its size column when asked for."""
    return Listing((*_TABLE, "Size") if size else _TABLE, _HEADERS, "failed to execute template")


def row(container: dict[str, Any], trunc: bool) -> Row:
    """One container of GET /containers/json."""
    labels = container.get("Labels") or {}
    fields = {
        "ID": lambda: short_id(container["Id"]) if trunc else container["Id"],
        "Names": lambda: _names(container.get("Names") or (), trunc),
        "Image": lambda: _image(container, trunc),
        "Command": lambda: quoted(ellipsis(container["Command"], 20) if trunc else container["Command"]),
        "CreatedAt": lambda: local_string(container["Created"]),
        "RunningFor": lambda: ago(container["Created"]),
        "Ports": lambda: ports_text(container.get("Ports") or ()),
        "State": lambda: container["State"],
        "Status": lambda: container["Status"],
        "Size": lambda: _size(container),
        "Labels": lambda: ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Mounts": lambda: ",".join(_mount(mount, trunc) for mount in container.get("Mounts") or ()),
        "LocalVolumes": lambda: str(sum(m.get("Driver") == "local" for m in container.get("Mounts") or ())),
        "Networks": lambda: ",".join(sorted((container.get("NetworkSettings") or {}).get("Networks") or ())),
        "Platform": lambda: None,
    }
    return Row("*formatter.ContainerContext", fields, labels)


def _names(names: Sequence[str], trunc: bool) -> str:
    plain = [name.removeprefix("/") for name in names]
    if trunc:
        plain = next(([name] for name in plain if "/" not in name), plain)
    return ",".join(plain)


def _image(container: dict[str, Any], trunc: bool) -> str:
    image = str(container["Image"])
    if not image:
        return "<no image>"
    if trunc:
        if short_id(container.get("ImageID") or "") == short_id(image):
            return short_id(image)
        name, at, _ = image.partition("@")
        if at:
            return name
    return image


def _size(container: dict[str, Any]) -> str:
    text = human_size(container.get("SizeRw") or 0)
    whole = container.get("SizeRootFs") or 0
    return f"{text} (virtual {human_size(whole)})" if whole > 0 else text


def _mount(mount: dict[str, Any], trunc: bool) -> str:
    name = mount.get("Name") or mount["Source"]
    return ellipsis(name, 15) if trunc else str(name)


def ports_text(ports: Sequence[dict[str, Any]]) -> str:
    """`0.0.0.0:80->80/tcp, 443/tcp`: runs of ports that keep their number are written as ranges."""
    groups: dict[str, tuple[int, int]] = {}
    done: list[str] = []
    moved: list[str] = []

    def order(port: dict[str, Any]) -> tuple[int, str, int, str]:
        return port["PrivatePort"], port.get("IP") or "", port.get("PublicPort") or 0, port["Type"]

    for port in sorted(ports, key=order):
        private, address, protocol = port["PrivatePort"], port.get("IP") or "", port["Type"]
        key = f"{address}/{protocol}" if address else protocol
        if address and port.get("PublicPort") != private:
            moved.append(f"{_join(address, port.get('PublicPort'))}->{private}/{protocol}")
            continue
        if key in groups:
            first, last = groups[key]
            if private == last + 1:
                groups[key] = (first, private)
                continue
            done.append(_group(key, first, last))
            groups[key] = (private, private)
        else:
            groups[key] = (private, private)
    done += [_group(key, first, last) for key, (first, last) in groups.items()]
    return ", ".join(done + moved)


def _join(address: str, port: object) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _group(key: str, first: int, last: int) -> str:
    address, slash, protocol = key.rpartition("/")
    ports = str(first) if first == last else f"{first}-{last}"
    return f"{_join(address, ports)}->{ports}/{protocol}" if slash else f"{ports}/{protocol}"
