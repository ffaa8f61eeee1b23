"""Route that changes a container's limits and restart policy."""

from dataclasses import replace

import msgspec

from scow.api.container import Updated
from scow.api.create import UpdateBody
from scow.engine.containers import update
from scow.errors import InvalidArgument
from scow.model.container import RestartPolicy
from scow.server.docker.call import Call
from scow.server.docker.convert import fields
from scow.server.docker.convert.create import to_resources

_CHANGEABLE = frozenset(
    {
        "BlkioWeight", "CpuPeriod", "CpuQuota", "CpuShares", "CpusetCpus", "CpusetMems", "Memory", "MemoryReservation",
        "MemorySwap", "NanoCpus", "PidsLimit", "RestartPolicy",
    }
)  # fmt: skip
_NOT_GIVEN = {**fields.HOST_ALSO_DEFAULT, "MemorySwappiness": (-1,)}


async def update_container(call: Call) -> None:
    """POST /containers/{id}/update"""
    body = await call.json(UpdateBody)
    default = UpdateBody()
    for field in msgspec.structs.fields(UpdateBody):
        if field.name not in _CHANGEABLE and getattr(body, field.name) != getattr(default, field.name):
            fields.refuse(body, frozenset((field.name,)), "HostConfig", _NOT_GIVEN)
    policy = body.RestartPolicy
    if policy.MaximumRetryCount and not policy.Name:
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    # 0 is how the docker CLI says that nothing was given; -1 takes the limit away
    limits = replace(
        to_resources(body), memory_swappiness=None, oom_kill_disable=False, pids_limit=body.PidsLimit or None
    )
    wanted = RestartPolicy(policy.Name, policy.MaximumRetryCount) if policy.Name else None
    await update.update(call.engine, call.name, update.UpdateRequest(limits, wanted))
    call.send(Updated(None))
