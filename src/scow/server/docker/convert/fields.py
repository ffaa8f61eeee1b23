"""What becomes of every field of a create request: mapped, refused when set, or without effect anywhere.

No field is accepted and forgotten: a test compares these tables with the wire types.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from scow.errors import InvalidArgument

CONFIG_MAPPED = frozenset(
    {
        "Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts", "Tty", "OpenStdin",
        "StdinOnce", "Env", "Cmd", "Healthcheck", "ArgsEscaped", "Image", "Volumes", "WorkingDir", "Entrypoint",
        "NetworkDisabled", "MacAddress", "OnBuild", "Labels", "StopSignal", "StopTimeout", "Shell",
    }
)  # fmt: skip

HOST_MAPPED = frozenset(
    {
        "Binds", "ContainerIDFile", "LogConfig", "NetworkMode", "PortBindings", "RestartPolicy", "AutoRemove", "VolumeDriver",
        "VolumesFrom", "ConsoleSize", "Annotations", "CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions", "DnsSearch",
        "ExtraHosts", "GroupAdd", "IpcMode", "OomScoreAdj", "PidMode", "Privileged", "PublishAllPorts", "ReadonlyRootfs",
        "SecurityOpt", "Tmpfs", "UTSMode", "UsernsMode", "ShmSize", "Sysctls", "Runtime", "CpuShares", "Memory", "NanoCpus",
        "CgroupParent", "BlkioWeight", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems", "Devices", "DeviceCgroupRules",
        "MemoryReservation", "MemorySwap", "MemorySwappiness", "OomKillDisable", "PidsLimit", "Ulimits", "Mounts",
        "MaskedPaths", "ReadonlyPaths", "Init", "HealthOnFailure", "Links",
    }
)  # fmt: skip

HOST_REFUSED = frozenset(
    {
        "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps", "BlkioWeightDevice",
        "Cgroup", "CpuCount", "CpuPercent", "CpuRealtimePeriod", "CpuRealtimeRuntime", "DeviceRequests", "IOMaximumBandwidth",
        "IOMaximumIOps", "Isolation", "KernelMemory", "KernelMemoryTCP", "StorageOpt",
    }
)  # fmt: skip

# Values that mean the default although they are not empty.
HOST_ALSO_DEFAULT: Mapping[str, tuple[object, ...]] = {
    "Isolation": ("default", "process"),
    "KernelMemory": (-1,),
    "KernelMemoryTCP": (-1,),
}

ENDPOINT_MAPPED = frozenset({"IPAMConfig", "Aliases", "MacAddress", "GwPriority", "Links"})
ENDPOINT_REFUSED = frozenset({"DriverOpts"})
# Docker's own answers sent back by clients; they are facts, not wishes, and Docker ignores them as well.
ENDPOINT_FACTS = frozenset(
    {
        "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address",
        "GlobalIPv6PrefixLen", "DNSNames",
    }
)  # fmt: skip
IPAM_REFUSED = frozenset({"LinkLocalIPs"})

_EMPTY = (None, UNSET, "", 0, False)


def refuse(
    record: msgspec.Struct, names: frozenset[str], prefix: str, also: Mapping[str, tuple[object, ...]] | None = None
) -> None:
    """InvalidArgument naming the first of `names` that is set to something."""
    for name in names:
        value = getattr(record, name)
        if value in _EMPTY or value == [] or value == {} or (also and value in also.get(name, ())):
            continue
        raise InvalidArgument(f"{prefix}.{name} is not supported by scow")
