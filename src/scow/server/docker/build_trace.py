"""Steps of a build as BuildKit's clients know them: lines of vertexes, logs and statuses."""

import msgspec

from scow.images.commit import rfc3339
from scow.model.transfer import Vertex, VertexLog, VertexStatus


class VertexWire(msgspec.Struct, omit_defaults=True):
    digest: str
    name: str
    started: str = ""
    completed: str = ""
    cached: bool = False
    error: str = ""


class LogWire(msgspec.Struct):
    vertex: str
    stream: int
    data: bytes
    timestamp: str


class StatusWire(msgspec.Struct):
    id: str
    vertex: str
    name: str
    current: int
    total: int
    timestamp: str


class TraceLine(msgspec.Struct, omit_defaults=True):
    """One line of POST /build?trace=1."""

    vertexes: list[VertexWire] = []
    logs: list[LogWire] = []
    statuses: list[StatusWire] = []


def trace(step: Vertex | VertexLog | VertexStatus) -> TraceLine:
    if isinstance(step, VertexLog):
        data = step.text.encode("utf-8", "replace")
        return TraceLine(logs=[LogWire(step.vertex, step.stream, data, rfc3339(step.moment))])
    if isinstance(step, VertexStatus):
        moment = rfc3339(step.moment)
        return TraceLine(statuses=[StatusWire(step.id, step.vertex, step.name, step.current, step.total, moment)])
    started = rfc3339(step.started) if step.started else ""
    completed = rfc3339(step.completed) if step.completed else ""
    return TraceLine(vertexes=[VertexWire(step.digest, step.name, started, completed, step.cached, step.error)])
