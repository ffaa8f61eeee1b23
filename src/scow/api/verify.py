"""POST /scow/build/verify: the last line of its answer."""

import msgspec


class Deviation(msgspec.Struct):
    What: str
    Expected: str
    Built: str


class FileDeviation(msgspec.Struct):
    Path: str
    Deviations: list[Deviation]


class LayerDeviation(msgspec.Struct):
    Number: int
    CreatedBy: str
    Expected: str
    Built: str
    Files: list[FileDeviation]
    More: int


class Named(msgspec.Struct):
    ID: str
    Manifest: str


class Verdict(msgspec.Struct):
    Agrees: bool
    Expected: Named
    Built: Named
    Moment: int
    Config: list[Deviation]
    Layers: list[LayerDeviation]


class VerdictAux(msgspec.Struct):
    Verdict: Verdict


class VerdictLine(msgspec.Struct):
    aux: VerdictAux
