"""What a reader of logs asks for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogQuery:
    """since and until: Unix nanoseconds, 0 for no bound, both inclusive; tail: so many last records, -1 for all."""

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int = 0
    until: int = 0
    timestamps: bool = False
    tail: int = -1
    details: bool = False
