"""Runs a parsed template on a value. Error positions and words are those of Go's text/template."""

from __future__ import annotations

from scow.cli.template import nodes
from scow.cli.template.functions import FUNCTIONS, CallError, Function
from scow.cli.template.lexer import TemplateError
from scow.cli.template.printing import quoted, text_of
from scow.cli.template.values import (
    NO_VALUE,
    Method,
    Number,
    Pointer,
    Raw,
    Slice,
    Struct,
    truth,
    type_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scow.cli.template.parser import Template

_MISSING = object()  # no value comes from the pipeline's previous stage
_MAX_CALLS = 100  # Go allows 100000; Python's stack does not, and nobody nests templates here


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def evaluate(template: Template, data: object, functions: Mapping[str, Function] = FUNCTIONS) -> str:
    """The template's output for `data`. Raises TemplateError."""
    run = _Run(template, data, functions)
    run.walk(data, template.root)
    return "".join(run.out)


def indirect(value: object) -> object:
    """What a non-nil pointer points to."""
    while isinstance(value, Pointer) and value.target is not None:
        value = value.target
    return value


class _Run:
    def __init__(self, template: Template, data: object, functions: Mapping[str, Function]) -> None:
        self.template = template
        self.functions = functions
        self.raw = isinstance(data, Raw)
        self.node: nodes.Node = template.root
        self.variables: list[tuple[str, object]] = [("$", data)]
        self.out: list[str] = []
        self.calls = 0

    def error(self, message: str) -> TemplateError:
        at = self.node.at
        before = self.template.source[:at]
        line = before.count("\n") + 1
        column = len(before[before.rfind("\n") + 1 :].encode("utf-8", "surrogateescape"))
        return TemplateError(f'template: :{line}:{column}: executing "" at <{self.node}>: {message}')

    # -- statements

    def walk(self, dot: object, node: nodes.Node) -> None:
        self.node = node
        if isinstance(node, nodes.Nodes):
            for item in node.items:
                self.walk(dot, item)
        elif isinstance(node, nodes.Text):
            self.out.append(node.text)
        elif isinstance(node, nodes.Action):
            value = self.pipeline(dot, node.pipe)
            if not node.pipe.variables:
                self.node = node
                self.out.append(_printed(value))
        elif isinstance(node, nodes.Branch):
            mark = len(self.variables)
            if node.kind == "range":
                self.range(dot, node)
            else:
                self.branch(dot, node)
            del self.variables[mark:]
        elif isinstance(node, nodes.Jump):
            raise _Break if node.kind == "break" else _Continue
        elif isinstance(node, nodes.Call):
            self.call_template(dot, node)

    def branch(self, dot: object, node: nodes.Branch) -> None:
        value = self.pipeline(dot, node.pipe)
        if truth(value):
            self.walk(value if node.kind == "with" else dot, node.body)
        elif node.other is not None:
            self.walk(dot, node.other)

    def range(self, dot: object, node: nodes.Branch) -> None:
        value = indirect(self.pipeline(dot, node.pipe))
        mark = len(self.variables)
        pairs: Sequence[tuple[object, object]]
        if isinstance(value, list):
            pairs = list(enumerate(value))
        elif isinstance(value, dict):
            pairs = [(key, value[key]) for key in sorted(value)]
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs = [(number, number) for number in range(min(value, 10**6))]
        elif value is NO_VALUE or value is None:
            pairs = ()
        else:
            raise self.error(f"range can't iterate over {text_of(value)}")
        try:
            for key, item in pairs:
                self.assign_range(node.pipe, key, item)
                try:
                    self.walk(item, node.body)
                except _Continue:
                    pass
                del self.variables[mark:]
        except _Break:
            del self.variables[mark:]
        if not pairs and node.other is not None:
            self.walk(dot, node.other)

    def assign_range(self, pipe: nodes.Pipe, key: object, item: object) -> None:
        names = pipe.variables
        values = (item,) if len(names) == 1 else (key, item)
        for name, value in zip(names, values, strict=False):
            if pipe.assign:
                self.set_variable(name, value)
            else:
                self.variables.append((name, value))

    def set_variable(self, name: str, value: object) -> None:
        for index in range(len(self.variables) - 1, -1, -1):
            if self.variables[index][0] == name:
                self.variables[index] = (name, value)
                return
        raise self.error(f"undefined variable: {name}")

    def call_template(self, dot: object, node: nodes.Call) -> None:
        body = self.template.definitions.get(node.name)
        if body is None:
            raise self.error(f'template "{node.name}" not defined')
        self.calls += 1
        if self.calls > _MAX_CALLS:
            raise self.error("exceeded maximum template depth")
        value = self.pipeline(dot, node.pipe) if node.pipe is not None else NO_VALUE
        outer, self.variables = self.variables, [("$", value)]
        self.walk(value, body)
        self.variables = outer
        self.calls -= 1

    # -- pipelines and commands

    def pipeline(self, dot: object, pipe: nodes.Pipe) -> object:
        self.node = pipe
        value: object = _MISSING
        for command in pipe.commands:
            value = self.command(dot, command, value)
            if value is None:
                value = NO_VALUE
        for name in pipe.variables:
            if pipe.assign:
                self.set_variable(name, value)
            else:
                self.variables.append((name, value))
        return value

    def command(self, dot: object, command: nodes.Command, final: object) -> object:
        first = command.words[0]
        arguments = command.words[1:]
        if isinstance(first, nodes.Field):
            self.node = first
            return self.fields(dot, dot, first.names, arguments, final)
        if isinstance(first, nodes.Chain):
            return self.chain(dot, first, arguments, final)
        if isinstance(first, nodes.Identifier):
            return self.function(dot, first, command, arguments, final)
        if isinstance(first, nodes.Pipe):
            self.no_arguments(first, arguments, final)
            return self.pipeline(dot, first)
        if isinstance(first, nodes.Variable):
            return self.variable(dot, first, arguments, final)
        self.node = first
        self.no_arguments(first, arguments, final)
        if isinstance(first, nodes.Dot):
            return dot
        assert isinstance(first, nodes.Literal)
        if first.source == "nil":
            raise self.error("nil is not a command")
        return first.value

    def no_arguments(self, first: nodes.Node, arguments: Sequence[nodes.Node], final: object) -> None:
        if arguments or final is not _MISSING:
            raise self.error(f"can't give argument to non-function {first}")

    def variable(self, dot: object, node: nodes.Variable, arguments: Sequence[nodes.Node], final: object) -> object:
        self.node = node
        value = next((value for name, value in reversed(self.variables) if name == node.names[0]), NO_VALUE)
        if len(node.names) == 1:
            self.no_arguments(node, arguments, final)
            return value
        return self.fields(dot, value, node.names[1:], arguments, final)

    def chain(self, dot: object, node: nodes.Chain, arguments: Sequence[nodes.Node], final: object) -> object:
        self.node = node
        if isinstance(node.node, nodes.Literal) and node.node.source == "nil":
            raise self.error(f"indirection through explicit nil in {node}")
        value = self.argument(dot, node.node, "any")
        return self.fields(dot, value, node.names, arguments, final)

    def fields(
        self, dot: object, value: object, names: Sequence[str], arguments: Sequence[nodes.Node], final: object
    ) -> object:
        for name in names[:-1]:
            value = self.field(dot, value, name, (), _MISSING)
        return self.field(dot, value, names[-1], arguments, final)

    def field(self, dot: object, receiver: object, name: str, arguments: Sequence[nodes.Node], final: object) -> object:
        if receiver is NO_VALUE:
            if self.raw:
                raise self.error(f"nil data; no entry for key {quoted(name)}")
            return NO_VALUE
        kind = "interface {}" if self.raw and receiver is not self.variables[0][1] else type_name(receiver)
        if receiver is None:
            raise self.error(f"nil pointer evaluating interface {{}}.{name}")
        target = indirect(receiver)
        if isinstance(target, Struct):
            try:
                found = target.field(name)
            except KeyError:
                raise self.error(f"can't evaluate field {name} in type {kind}") from None
            if isinstance(found, Method):
                return self.method(dot, found, arguments, final)
            if arguments or final is not _MISSING:
                raise self.error(f"{name} has arguments but cannot be invoked as function")
            return found
        if isinstance(target, dict) and getattr(target, "key", "string") == "string":
            if arguments or final is not _MISSING:
                raise self.error(f"{name} is not a method but has arguments")
            if name in target:
                return target[name]
            if isinstance(target, Raw):
                raise self.error(f"map has no entry for key {quoted(name)}")
            return NO_VALUE
        if isinstance(receiver, Pointer):
            raise self.error(f"nil pointer evaluating {kind}.{name}")
        raise self.error(f"can't evaluate field {name} in type {kind}")

    def method(self, dot: object, method: Method, arguments: Sequence[nodes.Node], final: object) -> object:
        count = len(arguments) + (final is not _MISSING)
        if count != method.arity:
            raise self.error(f"wrong number of args for {method.name}: want {method.arity} got {count}")
        values = [self.argument(dot, word, "string") for word in arguments]
        if final is not _MISSING:
            values.append(self.checked(final, "string"))
        return method.call(*values)

    # -- functions

    def function(
        self, dot: object, node: nodes.Identifier, command: nodes.Node, arguments: Sequence[nodes.Node], final: object
    ) -> object:
        self.node = node
        function = self.functions[node.name]
        count = len(arguments) + (final is not _MISSING)
        least = len(function.fixed)
        if function.rest and count < least:
            raise self.error(f"wrong number of args for {node.name}: want at least {least} got {count}")
        if not function.rest and count != least:
            raise self.error(f"wrong number of args for {node.name}: want {least} got {count}")
        if node.name in ("and", "or"):
            return self.shortcut(dot, node.name == "or", arguments, final)
        kinds = [*function.fixed, *[function.rest] * (count - least)]
        values = [self.argument(dot, word, kind) for word, kind in zip(arguments, kinds, strict=False)]
        if final is not _MISSING:
            values.append(self.checked(final, kinds[-1]))
        if node.name == "call":
            self.node = command
            shown = str(arguments[0]) if arguments else text_of(values[0])
            raise self.error(f"error calling call: non-function {shown} of type {type_name(values[0])}")
        try:
            return function.call(*values)
        except CallError as error:
            self.node = command
            raise self.error(f"error calling {node.name}: {error}") from None

    def shortcut(self, dot: object, stop: bool, arguments: Sequence[nodes.Node], final: object) -> object:
        value: object = NO_VALUE
        for word in arguments:
            value = self.argument(dot, word, "any")
            if truth(value) == stop:
                return value
        return value if final is _MISSING else final

    def argument(self, dot: object, word: nodes.Node, kind: str) -> object:
        self.node = word
        if isinstance(word, nodes.Dot):
            return self.checked(dot, kind)
        if isinstance(word, nodes.Field):
            return self.checked(self.fields(dot, dot, word.names, (), _MISSING), kind)
        if isinstance(word, nodes.Variable):
            return self.checked(self.variable(dot, word, (), _MISSING), kind)
        if isinstance(word, nodes.Pipe):
            return self.checked(self.pipeline(dot, word), kind)
        if isinstance(word, nodes.Identifier):
            return self.checked(self.function(dot, word, word, (), _MISSING), kind)
        if isinstance(word, nodes.Chain):
            return self.checked(self.chain(dot, word, (), _MISSING), kind)
        assert isinstance(word, nodes.Literal)
        return self.literal(word, kind)

    def literal(self, word: nodes.Literal, kind: str) -> object:
        value = word.value
        if word.source == "nil":
            if kind in ("any", "[]string"):
                return None
            raise self.error(f"cannot assign nil to {kind}")
        if kind == "any":
            return value
        if kind == "string":
            if isinstance(value, str):
                return value
            raise self.error(f"expected string; found {word}")
        if kind == "int":
            whole = isinstance(value, int) and not isinstance(value, bool)
            if whole or (isinstance(value, float) and value.is_integer()):
                return int(value)  # type: ignore[call-overload]
            raise self.error(f"expected integer; found {word}")
        raise self.error(f"can't handle {word} for arg of type {kind}")

    def checked(self, value: object, kind: str) -> object:
        """A value that a function takes as `kind`."""
        if kind == "any":
            return value
        if value is NO_VALUE or value is None:
            raise self.error(f"invalid value; expected {kind}")
        if kind == "string" and isinstance(value, str) and not isinstance(value, Number):
            return value
        if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
            return value
        if kind == "[]string" and isinstance(value, Slice) and value.element == "string":
            return value
        if isinstance(value, Pointer) and value.target is not None:
            return self.checked(value.target, kind)
        raise self.error(f"wrong type for value; expected {kind}; got {type_name(value)}")


def _printed(value: object) -> str:
    """An action's output: pointers are followed once, as Go does."""
    return text_of(indirect(value))
