"""A request for a network becomes its record: what is missing is filled in, what cannot be is refused in Docker's words.

Pure: the networks that exist and the host's routes are arguments.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address, ip_network

from scow.errors import Forbidden, InvalidArgument, NotFound, Unavailable
from scow.linux.rtnetlink import MACVLAN_MODES
from scow.model.network import AddressRange, Network, NetworkRequest
from scow.network import ipam
from scow.network.ipam import Address, Range

_BRIDGE_OPTION = "com.docker.network.bridge."
NAME, ICC, MASQUERADE, BINDING = (
    _BRIDGE_OPTION + word for word in ("name", "enable_icc", "enable_ip_masquerade", "host_binding_ipv4")
)
MTU = "com.docker.network.driver.mtu"
_OPTIONS = frozenset((NAME, ICC, MASQUERADE, BINDING, MTU))
_BOOLEANS = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}
_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a new network must fit into. used: ranges of the host's routes. pools: (base, length) of automatic networks.
    seed: what this daemon's unique local IPv6 addresses are made of. mtu: that of the way to the world.
    """

    networks: Sequence[Network]
    used: Sequence[Range]
    pools: Sequence[tuple[str, int]]
    seed: bytes
    mtu: int


def build(request: NetworkRequest, network_id: str, now: int, around: Surroundings) -> Network:
    """The network's record, not yet made. Errors carry Docker 26's sentences and kinds (HTTP statuses)."""
    _check_name(request, around.networks)
    if request.config_from:
        request = _from_template(request, around.networks)
    _check_ranges(request)
    driver = request.driver or "bridge"
    network = Network(
        id=network_id,
        name=request.name,
        driver=driver,
        created_at=now,
        ipv6=request.ipv6,
        internal=request.internal,
        attachable=request.attachable,
        options=dict(request.options),
        labels=dict(request.labels),
        ipam_driver=request.ipam_driver or "default",
        ipam_options=request.ipam_options,
        config_only=request.config_only,
        config_from=request.config_from,
        mtu=around.mtu,
    )
    if request.config_only:
        return replace(network, driver="null", ranges=request.ranges, mtu=0)
    _check_driver(driver, request)
    if network.ipam_driver != "default":
        raise NotFound(f'plugin "{network.ipam_driver}" not found')
    network = _with_options(network, around)
    return replace(network, ranges=_fill(request, network, around))


def _check_name(request: NetworkRequest, networks: Sequence[Network]) -> None:
    if not request.name.strip():
        raise InvalidArgument(f"invalid name: {request.name}")
    if any(character < " " or character == "\x7f" for character in request.name):
        raise InvalidArgument(f"invalid name: {request.name!r}")
    if request.name in ("bridge", "host", "none", "default") or request.name.startswith("container:"):
        raise Forbidden(f"operation is not permitted on predefined {request.name} network ")
    if request.config_only and request.config_from:
        raise InvalidArgument("a configuration network cannot be made from another one")


def _from_template(request: NetworkRequest, networks: Sequence[Network]) -> NetworkRequest:
    template = next((one for one in networks if request.config_from in (one.name, one.id)), None)
    if template is None:
        raise NotFound(f'configuration network "{request.config_from}" does not exist')
    if not template.config_only:
        raise Forbidden(f'network "{request.config_from}" is not a configuration network')
    if request.ranges or request.options or request.ipv6 or request.internal or request.labels:
        raise Forbidden(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    return replace(
        request,
        ranges=template.ranges,
        options=template.options,
        ipv6=template.ipv6,
        internal=template.internal,
        labels=template.labels,
        ipam_options=template.ipam_options,
        config_from=template.name,
    )


def _check_driver(driver: str, request: NetworkRequest) -> None:
    if driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver == "overlay":
        raise Unavailable(_SWARM)
    if driver not in ("bridge", "macvlan"):
        raise NotFound(f'plugin "{driver}" not found')


# ---------------------------------------------------------------- ranges


def _check_ranges(request: NetworkRequest) -> None:
    faults = [fault for one in request.ranges for fault in _faults(one)]
    if not request.ipv6:
        faults += [f"invalid subnet {one.subnet}: it needs EnableIPv6" for one in request.ranges if one.ipv6]
    if faults:
        lines = faults if len(faults) == 1 else [f"* {fault}" for fault in faults]
        raise InvalidArgument("invalid network config:\n" + "\n".join(lines))


def _faults(wish: AddressRange) -> Iterable[str]:
    if not wish.subnet:
        if wish.ip_range or wish.gateway or wish.auxiliary:
            yield "invalid subnet : invalid CIDR block notation"
        return
    try:
        subnet = ip_network(wish.subnet, strict=False)
        assert "/" in wish.subnet
    except (ValueError, AssertionError):
        yield f"invalid subnet {wish.subnet}: invalid CIDR block notation"
        return
    if _host_bits(wish.subnet):
        yield f"invalid subnet {wish.subnet}: it should be {subnet}"
    if wish.ip_range:
        yield from _range_faults(wish.ip_range, subnet)
    if wish.gateway:
        yield from _address_faults(f"invalid gateway {wish.gateway}", wish.gateway, subnet)
    for name, address in sorted(wish.auxiliary.items()):
        yield from _address_faults(f"invalid auxiliary address {name}", address, subnet)


def _host_bits(text: str) -> bool:
    address, _, length = text.partition("/")
    return int(ip_address(address)) != int(ip_network(f"{address}/{length}", strict=False).network_address)


def _range_faults(text: str, subnet: Range) -> Iterable[str]:
    what = f"invalid ip-range {text}"
    try:
        within = ip_network(text, strict=False)
        assert "/" in text
    except (ValueError, AssertionError):
        yield f"{what}: invalid CIDR block notation"
        return
    if within.version != subnet.version:
        yield f"{what}: parent subnet {subnet} is an IPv{subnet.version} block"
        return
    if _host_bits(text):
        yield f"{what}: it should be {within}"
    if within.prefixlen < subnet.prefixlen:
        yield f"{what}: CIDR block is bigger than its parent subnet {subnet}"
    elif within.network_address not in subnet:
        yield f"{what}: parent subnet {subnet} doesn't contain ip-range"


def _address_faults(what: str, text: str, subnet: Range) -> Iterable[str]:
    try:
        address = ip_address(text)
    except ValueError:
        yield f"{what}: invalid address"
        return
    if address.version != subnet.version:
        yield f"{what}: parent subnet {subnet} is an IPv{subnet.version} block"
    elif address not in subnet:
        yield f"{what}: parent subnet {subnet} doesn't contain this address"


def _fill(request: NetworkRequest, network: Network, around: Surroundings) -> tuple[AddressRange, ...]:
    """The network's ranges with their gateways; automatic ones where the user gave none."""
    four = [one for one in request.ranges if one.subnet and not one.ipv6]
    six = [one for one in request.ranges if one.ipv6]
    if len(four) > 1 or len(six) > 1:
        raise Forbidden(f"{network.driver} driver doesn't support multiple subnets")
    own = [ip_network(one.subnet) for other in around.networks if not other.config_only for one in other.ranges]
    used = [*own, *around.used]
    ranges = [_given(one, own) for one in four] or [_automatic(around.pools, used, ipv6=False)]
    if request.ipv6:
        pools = [pool for pool in around.pools if ":" in pool[0]] or [ipam.unique_local_pool(around.seed)]
        ranges += [_given(one, own) for one in six] or [_automatic(pools, used, ipv6=True)]
    return tuple(ranges)


def _automatic(pools: Sequence[tuple[str, int]], used: Sequence[Range], *, ipv6: bool) -> AddressRange:
    subnet = ipam.free_range(pools, used, ipv6=ipv6)
    return AddressRange(str(subnet), str(subnet.network_address + 1))


def _given(wish: AddressRange, own: Sequence[Range]) -> AddressRange:
    subnet = ip_network(wish.subnet)
    if any(ipam.overlaps(subnet, other) for other in own):
        raise ipam.Overlap("Pool overlaps with other one on this address space")
    if subnet.num_addresses < 4:
        raise InvalidArgument(f"invalid network config:\ninvalid subnet {subnet}: it has no addresses for containers")
    first, last = int(subnet.network_address) + 1, int(subnet.broadcast_address) - (subnet.version == 4)
    taken: dict[Address, str] = {}
    if wish.gateway:
        taken[ip_address(wish.gateway)] = "gateway"
    for name, text in sorted(wish.auxiliary.items()):
        address = ip_address(text)
        if address in taken:
            raise ipam.AddressInUse(f"failed to allocate secondary ip address ({name}:{text}): Address already in use")
        taken[address] = name
    gateway = ip_address(wish.gateway) if wish.gateway else _lowest(subnet, wish.ip_range, taken, first, last)
    return replace(wish, subnet=str(subnet), gateway=str(gateway), given=True, gateway_given=bool(wish.gateway))


def _lowest(subnet: Range, ip_range: str, taken: Mapping[Address, str], first: int, last: int) -> Address:
    """Docker takes the gateway out of the range as it does with other addresses."""
    within = ip_network(ip_range) if ip_range else subnet
    make: Callable[[int], Address] = type(subnet.network_address)
    value = max(first, int(within.network_address))
    while make(value) in taken:
        value += 1
    if value > min(last, int(within.broadcast_address)):
        raise ipam.AddressInUse(f"failed to allocate gateway (): no address is left of {within}")
    return make(value)


# ---------------------------------------------------------------- options


def _with_options(network: Network, around: Surroundings) -> Network:
    options = network.options
    unknown = sorted(name for name in options if name.startswith("com.docker.network.") and name not in _OPTIONS)
    if unknown:
        raise InvalidArgument(f"the network option {unknown[0]} is not supported by scow")
    if "encrypted" in options:  # other unknown options are kept and mean nothing, as Docker's; this one is a promise
        raise InvalidArgument("the network option encrypted is not supported by scow: no driver encrypts")
    mtu = _number(options, MTU)
    network = replace(network, mtu=mtu or network.mtu)
    if network.driver == "macvlan":
        mode = options.get("macvlan_mode", "bridge")
        if mode not in MACVLAN_MODES:
            raise InvalidArgument(
                f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default"
            )
        return replace(network, internal=network.internal or not options.get("parent"))
    for name in (ICC, MASQUERADE):
        boolean(options, name)
    binding = options.get(BINDING, "")
    if binding:
        try:
            IPv4Address(binding)
        except ValueError:
            raise InvalidArgument(f"failed to parse {BINDING} value: {binding} (invalid ip address)") from None
    name = options.get(NAME, "") or f"br-{network.id[:12]}"
    from scow.network.bridge import check_name

    check_name(name)
    for other in around.networks:
        if other.bridge == name:
            raise Forbidden(
                f"cannot create network {network.id} ({name}): conflicts with network {other.id} ({name}): "
                "networks have same bridge name"
            )
    return replace(network, bridge=name)


def boolean(options: Mapping[str, str], name: str, default: bool = True) -> bool:
    """An option of Go's ParseBool."""
    value = options.get(name, "")
    if not value:
        return default
    if value not in _BOOLEANS:
        raise InvalidArgument(
            f'failed to parse {name} value: {value} (strconv.ParseBool: parsing "{value}": invalid syntax)'
        )
    return value in ("1", "t", "T", "TRUE", "true", "True")


def _number(options: Mapping[str, str], name: str) -> int:
    value = options.get(name, "")
    if not value:
        return 0
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise InvalidArgument(
            f'failed to parse {name} value: {value} (strconv.Atoi: parsing "{value}": invalid syntax)'
        )
    if not 68 <= int(value) <= 65535:
        raise InvalidArgument(f"invalid mtu: {value}: want 68 to 65535")
    return int(value)
