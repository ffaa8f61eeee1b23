"""Small shared pieces of the wire types."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Uint64 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Uint16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
StringList = list[str] | None
StringMap = dict[str, str] | None
# Go's strslice: a list, or one string that becomes a list of one
Words = list[str] | str | None


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    """Go's struct{}: the value of a set's members."""


Set = dict[str, Empty] | None

__all__ = ["UNSET", "Empty", "Int64", "Set", "StringList", "StringMap", "Uint16", "Uint64", "UnsetType", "Words"]
