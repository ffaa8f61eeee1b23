"""Tokens to nodes. Errors carry Go's words, since users know them."""

from __future__ import annotations

from scow.cli.template import nodes
from scow.cli.template.lexer import Token, fail, lex, parse_number
from scow.cli.template.printing import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_MAX_DEPTH = 100


class Template:
    """A parsed template: its nodes, those of its `define`s, and the text for error positions."""

    __slots__ = ("definitions", "root", "source")

    def __init__(self, source: str, root: nodes.Nodes, definitions: dict[str, nodes.Nodes]) -> None:
        self.source = source
        self.root = root
        self.definitions = definitions


def parse(source: str, functions: Container[str]) -> Template:
    """Parses a template whose functions have these names. Raises TemplateError."""
    return _Parser(source, functions).parse()


class _Parser:
    def __init__(self, source: str, functions: Container[str]) -> None:
        self.source = source
        self.functions = functions
        self.stream = lex(source)
        self.ahead: list[Token] = []
        self.variables = ["$"]
        self.ranges = 0
        self.depth = 0
        self.line = 1
        self.definitions: dict[str, nodes.Nodes] = {}

    # -- tokens

    def next(self) -> Token:
        token = self.ahead.pop() if self.ahead else next(self.stream)
        self.line = token.line
        return token

    def peek(self) -> Token:
        token = self.next()
        self.ahead.append(token)
        return token

    def next_word(self) -> Token:
        token = self.next()
        while token.kind == "space":
            token = self.next()
        return token

    def peek_word(self) -> Token:
        token = self.next_word()
        self.ahead.append(token)
        return token

    def unexpected(self, token: Token, context: str) -> Exception:
        return fail(token.line, f"unexpected {shown(token)} in {context}")

    # -- lists and actions

    def parse(self) -> Template:
        root = nodes.Nodes(0)
        while self.peek().kind != "eof":
            node, end = self.item()
            if end:
                raise fail(self.line, f"unexpected {{{{{end}}}}}")
            if node is not None:
                root.items.append(node)
        return Template(self.source, root, self.definitions)

    def item(self) -> tuple[nodes.Node | None, str]:
        """The next node, or the word (`end`, `else`) that ends a list."""
        token = self.next()
        if token.kind == "text":
            return nodes.Text(token.at, token.text), ""
        word = self.next_word()
        if word.kind == "keyword" and word.text in _CONTROLS:
            return getattr(self, "control_" + word.text)(word)  # type: ignore[no-any-return]
        self.ahead.append(word)
        pipe = self.pipeline("command", "right")
        return nodes.Action(pipe.at, pipe), ""

    def list_until(self, context: str) -> tuple[nodes.Nodes, str]:
        """Nodes up to `end` or `else`."""
        out = nodes.Nodes(self.peek().at)
        while self.peek().kind != "eof":
            node, end = self.item()
            if end:
                return out, end
            if node is not None:
                out.items.append(node)
        raise fail(self.line, "unexpected EOF")

    def control_end(self, word: Token) -> tuple[None, str]:
        token = self.next_word()
        if token.kind != "right":
            raise self.unexpected(token, "end")
        return None, "end"

    def control_else(self, word: Token) -> tuple[None, str]:
        token = self.peek_word()
        if token.kind == "keyword" and token.text in ("if", "with"):
            return None, "else " + token.text
        token = self.next_word()
        if token.kind != "right":
            raise self.unexpected(token, "else")
        return None, "else"

    def branch(self, kind: str, at: int) -> tuple[nodes.Node, str]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise fail(self.line, "too many nested actions")
        mark = len(self.variables)
        pipe = self.pipeline(kind, "right")
        self.ranges += kind == "range"
        body, end = self.list_until(kind)
        self.ranges -= kind == "range"
        other: nodes.Nodes | None = None
        if end.startswith("else "):
            if kind != end[5:]:
                raise fail(
                    self.line, f"unexpected {{{{{end}}}}}" if kind == "range" else f"unexpected <{end[5:]}> in else"
                )
            word = self.next_word()
            other = nodes.Nodes(word.at)
            other.items.append(self.branch(kind, word.at)[0])
        elif end == "else":
            other, end = self.list_until(kind)
            if end != "end":
                raise fail(self.line, f"expected end; found {{{{{end}}}}}")
        del self.variables[mark:]
        self.depth -= 1
        return nodes.Branch(pipe.at, kind, pipe, body, other), ""

    def control_if(self, word: Token) -> tuple[nodes.Node, str]:
        return self.branch("if", word.at)

    def control_with(self, word: Token) -> tuple[nodes.Node, str]:
        return self.branch("with", word.at)

    def control_range(self, word: Token) -> tuple[nodes.Node, str]:
        return self.branch("range", word.at)

    def jump(self, word: Token) -> tuple[nodes.Node, str]:
        token = self.next_word()
        if token.kind != "right":
            raise self.unexpected(token, f"{{{{{word.text}}}}}")
        if not self.ranges:
            raise fail(self.line, f"{{{{{word.text}}}}} outside {{{{range}}}}")
        return nodes.Jump(word.at, word.text), ""

    control_break = control_continue = jump

    def template_name(self, context: str) -> str:
        token = self.next_word()
        if token.kind not in ("string", "raw"):
            raise self.unexpected(token, context)
        return str(self.literal(token).value)

    def control_template(self, word: Token) -> tuple[nodes.Node, str]:
        at = self.peek_word().at
        name = self.template_name("template clause")
        pipe = None
        if self.peek_word().kind == "right":
            self.next_word()
        else:
            pipe = self.pipeline("template clause", "right")
        return nodes.Call(at, name, pipe), ""

    def control_define(self, word: Token) -> tuple[None, str]:
        name = self.template_name("define clause")
        token = self.next_word()
        if token.kind != "right":
            raise self.unexpected(token, "define clause")
        self.definitions[name] = self.definition()
        return None, ""

    def control_block(self, word: Token) -> tuple[nodes.Node, str]:
        name = self.template_name("block clause")
        pipe = self.pipeline("block clause", "right")
        self.definitions[name] = self.definition()
        return nodes.Call(word.at, name, pipe), ""

    def definition(self) -> nodes.Nodes:
        outer, self.variables = self.variables, ["$"]
        ranges, self.ranges = self.ranges, 0
        body, end = self.list_until("define clause")
        if end != "end":
            raise fail(self.line, f"unexpected {{{{{end}}}}} in define clause")
        self.variables, self.ranges = outer, ranges
        return body

    # -- pipelines

    def pipeline(self, context: str, end: str) -> nodes.Pipe:
        pipe = nodes.Pipe(self.peek_word().at)
        self.declarations(pipe, context)
        while True:
            token = self.next_word()
            if token.kind == end:
                self.check_pipeline(pipe, context, token)
                return pipe
            if token.kind not in _OPERANDS and not (token.kind == "keyword" and token.text == "nil"):
                raise self.unexpected(token, context)
            self.ahead.append(token)
            pipe.commands.append(self.command())

    def declarations(self, pipe: nodes.Pipe, context: str) -> None:
        """`$x :=`, `$i, $x :=` or `$x =` at a pipeline's start."""
        first = self.peek_word()
        if first.kind != "variable":
            return
        taken = [self.next_word()]
        follow = self.next()
        spaces = []
        while follow.kind == "space":
            spaces.append(follow)
            follow = self.next()
        if follow.kind == "comma" and context == "range":
            second = self.next_word()
            if second.kind != "variable":
                raise fail(self.line, "range can only initialize variables")
            taken.append(second)
            follow = self.next_word()
            if follow.kind == "comma":
                raise fail(self.line, f"too many declarations in {context}")
            if follow.kind not in ("declare", "assign"):
                raise fail(self.line, "range can only initialize variables")
        if follow.kind not in ("declare", "assign"):
            self.ahead += [follow, *reversed(spaces), taken[0]]
            return
        pipe.assign = follow.kind == "assign"
        pipe.variables = [token.text for token in taken]
        if not pipe.assign:
            self.variables += pipe.variables

    def check_pipeline(self, pipe: nodes.Pipe, context: str, token: Token) -> None:
        if not pipe.commands:
            raise fail(token.line, f"missing value for {context}")
        for stage, command in enumerate(pipe.commands[1:], 2):
            if isinstance(command.words[0], nodes.Literal | nodes.Dot):
                raise fail(token.line, f"non executable command in pipeline stage {stage}")

    def command(self) -> nodes.Command:
        command = nodes.Command(self.peek_word().at)
        while True:
            self.peek_word()
            operand = self.operand()
            if operand is not None:
                command.words.append(operand)
            token = self.next()
            if token.kind == "space":
                continue
            if token.kind in ("right", "rparen"):
                self.ahead.append(token)
            elif token.kind != "pipe":
                raise self.unexpected(token, "operand")
            break
        if not command.words:
            raise fail(self.line, "empty command")
        return command

    def operand(self) -> nodes.Node | None:
        node = self.term()
        if node is None:
            return None
        if self.peek().kind != "field":
            return node
        at = self.peek().at
        names = []
        while self.peek().kind == "field":
            names.append(self.next().text[1:])
        if isinstance(node, nodes.Field):
            return nodes.Field(at, node.names + names)
        if isinstance(node, nodes.Variable):
            return nodes.Variable(at, node.names + names)
        if isinstance(node, nodes.Literal | nodes.Dot):
            raise fail(self.line, f"unexpected . after term {quoted(str(node))}")
        return nodes.Chain(at, node, names)

    def term(self) -> nodes.Node | None:
        token = self.next_word()
        kind = token.kind
        if kind == "identifier":
            if token.text not in self.functions:
                raise fail(token.line, f'function "{token.text}" not defined')
            return nodes.Identifier(token.at, token.text)
        if kind == "dot":
            return nodes.Dot(token.at)
        if kind == "keyword" and token.text == "nil":
            return nodes.Literal(token.at, "nil", None)
        if kind == "variable":
            if token.text not in self.variables:
                raise fail(token.line, f'undefined variable "{token.text}"')
            return nodes.Variable(token.at, [token.text])
        if kind == "field":
            return nodes.Field(token.at, [token.text[1:]])
        if kind in ("bool", "char", "number", "string", "raw"):
            return self.literal(token)
        if kind == "lparen":
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise fail(self.line, "max expression depth exceeded")
            pipe = self.pipeline("parenthesized pipeline", "rparen")
            self.depth -= 1
            return pipe
        self.ahead.append(token)
        return None

    def literal(self, token: Token) -> nodes.Literal:
        text = token.text
        if token.kind == "bool":
            return nodes.Literal(token.at, text, text == "true")
        if token.kind == "number":
            return nodes.Literal(token.at, text, parse_number(text))
        if token.kind == "raw":
            return nodes.Literal(token.at, text, text[1:-1])
        value = unquote(text[1:-1])
        if value is None:
            raise fail(token.line, "invalid syntax")
        if token.kind == "char":
            if len(value) != 1:
                raise fail(token.line, f"malformed character constant: {text}")
            return nodes.Literal(token.at, text, ord(value))
        return nodes.Literal(token.at, text, value)


_CONTROLS = frozenset("block break continue define else end if range template with".split())
_OPERANDS = frozenset("bool char dot field identifier number raw string variable lparen".split())


def unquote(text: str) -> str | None:
    """The value of an interpreted Go string without its quotes; None when an escape is wrong."""
    if "\\" not in text:
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out.append(text[at])
            at += 1
            continue
        kind = text[at + 1 : at + 2]
        if kind in _ESCAPES and kind:
            out.append(_ESCAPES[kind])
            at += 2
            continue
        size, base, start = {"x": (2, 16, 2), "u": (4, 16, 2), "U": (8, 16, 2)}.get(kind, (3, 8, 1))
        digits = text[at + start : at + start + size]
        try:
            if len(digits) != size or not digits.isalnum():
                return None
            out.append(chr(int(digits, base)))
        except (ValueError, OverflowError):
            return None
        at += start + size
    return "".join(out)


def shown(token: Token) -> str:
    """A token in an error message."""
    if token.kind == "eof":
        return "EOF"
    if token.kind == "keyword":
        return f"<{token.text}>"
    if len(token.text) > 10:
        return quoted(token.text[:10]) + "..."
    return quoted(token.text)
