"""What is wrong with a Dockerfile, in the sentence of Docker's daemon and with the place."""

from collections.abc import Iterable, Sequence

from scow.errors import InvalidArgument

_NEAR = 3  # an edit distance below it is a slip of the hand


UNREADABLE = "failed to parse Dockerfile: "
"""In front of what is wrong with the words of a line, whatever the instruction."""


class DockerfileError(InvalidArgument):
    """`message` is Docker's sentence; `shown` has the place and the line as well, for a person to read.

    `sentence` is the message without what Docker puts in front of it. `line` 0: the file as a whole. `word` is the one
    that is wrong, "" when it is not one word.
    """

    def __init__(
        self,
        sentence: str,
        *,
        prefix: str = "",
        file: str = "Dockerfile",
        line: int = 0,
        word: str = "",
        source: str = "",
    ) -> None:
        super().__init__(prefix + sentence)
        self.sentence = sentence
        self.file = file
        self.line = line
        self.word = word
        self._source = source

    @property
    def shown(self) -> str:
        """Several lines: the place, the line itself with its neighbours, a mark below the word, the sentence."""
        lines = self._source.split("\n")
        if not 0 < self.line <= len(lines):
            return f"{self.file}: {self.message}"
        out = [f"{self.file}:{self.line}"]
        for number in range(max(1, self.line - 2), min(len(lines), self.line + 2) + 1):
            text = lines[number - 1].rstrip("\r").replace("\t", " ")
            out.append(f"{'>' if number == self.line else ' '} {number:4} | {text}".rstrip())
            at = text.find(self.word) if self.word else -1
            if number == self.line and at >= 0:
                out.append(f"       | {' ' * at}{'^' * len(self.word)}")
        return "\n".join([*out, self.message])


class Wrong(InvalidArgument):
    """A word that does not hold; the parser, which knows the place, makes a DockerfileError of it."""

    def __init__(self, message: str, word: str) -> None:
        super().__init__(message)
        self.word = word


def suggestion(word: str, names: Iterable[str], *, fold: bool = True) -> str:
    """The name that was meant, "" when none is near; of equally near ones the first. `fold`: whatever the case."""
    best, found = _NEAR, ""
    for name in names:
        distance = _distance(word.lower(), name.lower()) if fold else _distance(word, name)
        if not distance:
            return ""
        if distance < best:
            best, found = distance, name
    return found


def did_you_mean(word: str, names: Sequence[str], *, fold: bool = True) -> str:
    """` (did you mean NAME?)`, or nothing."""
    found = suggestion(word, names, fold=fold)
    return f" (did you mean {found}?)" if found else ""


def _distance(one: str, other: str) -> int:
    """Levenshtein's, counted only as far as it matters."""
    if abs(len(one) - len(other)) >= _NEAR:
        return _NEAR
    row = list(range(len(other) + 1))
    for place, left in enumerate(one, 1):
        above, row[0] = row[0], place
        for column, right in enumerate(other, 1):
            above, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, above + (left != right))
    return row[-1]
