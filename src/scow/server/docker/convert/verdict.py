"""What a verification has found, on the wire."""

from scow.api import verify as wire
from scow.model.verdict import Deviation, Verdict


def verdict_line(verdict: Verdict) -> wire.VerdictLine:
    """As it is told."""
    layers = [
        wire.LayerDeviation(
            layer.number,
            layer.created_by,
            layer.expected,
            layer.built,
            [wire.FileDeviation(file.path, _deviations(file.deviations)) for file in layer.files],
            layer.more,
        )
        for layer in verdict.layers
    ]
    found = wire.Verdict(
        verdict.agrees,
        wire.Named(verdict.expected, verdict.expected_manifest),
        wire.Named(verdict.built, verdict.built_manifest),
        verdict.moment,
        _deviations(verdict.config),
        layers,
    )
    return wire.VerdictLine(wire.VerdictAux(found))


def _deviations(found: tuple[Deviation, ...]) -> list[wire.Deviation]:
    return [wire.Deviation(one.what, one.expected, one.built) for one in found]
