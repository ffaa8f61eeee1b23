"""The parsed template. Every node knows its offset and prints itself as Go does, for error messages."""

from __future__ import annotations


class Node:
    """`at` is the offset that error messages give."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, at: int, text: str) -> None:
        super().__init__(at)
        self.text = text

    def __str__(self) -> str:
        return self.text


class Nodes(Node):
    """A list of nodes."""

    __slots__ = ("items",)

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.items: list[Node] = []

    def __str__(self) -> str:
        return "".join(map(str, self.items))


class Literal(Node):
    """A string, number, character, bool or nil; `source` is how it was written."""

    __slots__ = ("source", "value")

    def __init__(self, at: int, source: str, value: object) -> None:
        super().__init__(at)
        self.source = source
        self.value = value

    def __str__(self) -> str:
        return self.source


class Dot(Node):
    __slots__ = ()

    def __str__(self) -> str:
        return "."


class Field(Node):
    """`.A.B` of the current value."""

    __slots__ = ("names",)

    def __init__(self, at: int, names: list[str]) -> None:
        super().__init__(at)
        self.names = names

    def __str__(self) -> str:
        return "".join("." + name for name in self.names)


class Variable(Node):
    """`$x.A.B`; `names[0]` is `$x`."""

    __slots__ = ("names",)

    def __init__(self, at: int, names: list[str]) -> None:
        super().__init__(at)
        self.names = names

    def __str__(self) -> str:
        return ".".join(self.names)


class Chain(Node):
    """`(pipeline).A.B`."""

    __slots__ = ("names", "node")

    def __init__(self, at: int, node: Node, names: list[str]) -> None:
        super().__init__(at)
        self.node = node
        self.names = names

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return inner + "".join("." + name for name in self.names)


class Identifier(Node):
    """A function's name."""

    __slots__ = ("name",)

    def __init__(self, at: int, name: str) -> None:
        super().__init__(at)
        self.name = name

    def __str__(self) -> str:
        return self.name


class Command(Node):
    """Words of one pipeline stage."""

    __slots__ = ("words",)

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.words: list[Node] = []

    def __str__(self) -> str:
        return " ".join(f"({word})" if isinstance(word, Pipe) else str(word) for word in self.words)


class Pipe(Node):
    """`$x := a | b`. `assign` tells `=` from `:=`."""

    __slots__ = ("assign", "commands", "variables")

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.variables: list[str] = []
        self.assign = False
        self.commands: list[Command] = []

    def __str__(self) -> str:
        names = ", ".join(self.variables) + (" = " if self.assign else " := ") if self.variables else ""
        return names + " | ".join(map(str, self.commands))


class Action(Node):
    """`{{pipeline}}`."""

    __slots__ = ("pipe",)

    def __init__(self, at: int, pipe: Pipe) -> None:
        super().__init__(at)
        self.pipe = pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


class Branch(Node):
    """`if`, `with` or `range` with its lists."""

    __slots__ = ("body", "kind", "other", "pipe")

    def __init__(self, at: int, kind: str, pipe: Pipe, body: Nodes, other: Nodes | None) -> None:
        super().__init__(at)
        self.kind = kind
        self.pipe = pipe
        self.body = body
        self.other = other

    def __str__(self) -> str:
        tail = f"{{{{else}}}}{self.other}" if self.other is not None else ""
        return f"{{{{{self.kind} {self.pipe}}}}}{self.body}{tail}{{{{end}}}}"


class Jump(Node):
    """`break` or `continue`."""

    __slots__ = ("kind",)

    def __init__(self, at: int, kind: str) -> None:
        super().__init__(at)
        self.kind = kind

    def __str__(self) -> str:
        return f"{{{{{self.kind}}}}}"


class Call(Node):
    """`{{template "name" pipeline}}`, also what a block leaves behind."""

    __slots__ = ("name", "pipe")

    def __init__(self, at: int, name: str, pipe: Pipe | None) -> None:
        super().__init__(at)
        self.name = name
        self.pipe = pipe

    def __str__(self) -> str:
        tail = f" {self.pipe}" if self.pipe else ""
        return f'{{{{template "{self.name}"{tail}}}}}'
