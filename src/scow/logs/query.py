"""What a reader of logs asks for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogQuery:
    """since and until: Unix nanoseconds, 0 for no bound, both inclusive; tail: so many last records, -1 for all.

    merged: lines that follow each other in one stream share a frame. Docker's clients may take a frame for a line, so
    this is only for those that ask for it.
    """

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int = 0
    until: int = 0
    timestamps: bool = False
    tail: int = -1
    details: bool = False
    merged: bool = False
