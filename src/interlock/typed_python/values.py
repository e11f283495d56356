"""Check, the rules for values: what names mean, which types values take and where types meet; every error is noted.

A checked expression is a typed tree, a `Literal` whose type its surroundings decide, or None: an error that was noted, or
a variable whose type is not known yet.
"""

from __future__ import annotations

import ast
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeAlias

from interlock.typed_python import operations, syntax, tree
from interlock.typed_python.diagnostics import Diagnostic
from interlock.typed_python.layout import (
    ArrayType,
    CallableType,
    Element,
    PointerType,
    Record,
    callable_type,
    element_for,
)
from interlock.typed_python.scalars import BOOL, F64, I64, Scalar, common, widens
from interlock.typed_python.source import Definition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.typed_python.machine import Machine


@dataclass(frozen=True, slots=True)
class Literal:
    """An integer or float that was written down, or computed from such ones alone."""

    value: int | float


Checked: TypeAlias = "tree.Expr | Literal | None"

_OF_CLASS: Final = {int: I64, float: F64, bool: BOOL}
_KIND_WORDS: Final = {
    "i": "integers",
    "f": "floats",
    "b": "bools",
    "p": "pointers",
    "c": "functions",
}


def scalar_of(value: object) -> Scalar | None:
    """The scalar type that an annotation's value or a conversion's name means."""
    if isinstance(value, type) and value in _OF_CLASS:
        return _OF_CLASS[value]
    if typing.get_origin(value) is Callable:
        return _function_type_of(value)
    found = getattr(value, "scalar", None)
    return found if isinstance(found, Scalar) else None


def _function_type_of(value: object) -> CallableType | None:
    """The type that `Callable[[f64], f64]` means, of `typing` or `collections.abc`."""
    arguments = typing.get_args(value)
    if len(arguments) != 2 or not isinstance(arguments[0], list):
        return None
    params = tuple(kind for each in arguments[0] if (kind := scalar_of(each)) is not None)
    is_procedure = arguments[1] in {None, type(None)}
    result = None if is_procedure else scalar_of(arguments[1])
    if len(params) != len(arguments[0]) or (result is None and not is_procedure):
        return None
    return callable_type(params, result)


def array_type_of(value: object) -> ArrayType | None:
    """The array type that an annotation's value means."""
    found = getattr(value, "array_type", None)
    return found if isinstance(found, ArrayType) else None


def element_of(value: object) -> Element | Record | None:
    """What an array of these holds."""
    for found in (getattr(value, "element", None), getattr(value, "record", None)):
        if isinstance(found, Element | Record):
            return found
    kind = scalar_of(value)
    return None if kind is None else element_for(kind)


def definition_of(value: object) -> Definition | None:
    """The definition behind a compiled function."""
    found = getattr(value, "definition", None)
    return found if isinstance(found, Definition) else None


class Missing:
    """What a name resolves to that has no value outside the function."""


MISSING: Final = Missing()
VARIABLE: Final = Missing()


class ValueChecker(ABC):
    """Names, types and errors of one function."""

    def __init__(self, definition: Definition, machine: Machine) -> None:
        self.machine = machine
        self.definition = definition
        self.diagnostics: dict[Diagnostic, None] = {}
        self.arrays: dict[str, tree.Array] = {}
        self.variables: dict[str, Scalar | None] = {}  # None: its type is not known yet
        self.assigned: set[str] | None = set()  # certainly; None: control does not come here
        self.temporary_count = 0
        # For `reference.py`: what stands in the place of a node when Python runs the source.
        self.conversions: dict[ast.AST, Scalar] = {}
        self.operations: dict[ast.AST, Callable[..., operations.Value]] = {}
        self.loads: dict[ast.AST, Callable[..., operations.Value | None]] = {}
        self.stores: dict[ast.AST, Callable[..., None]] = {}
        self.addresses: dict[ast.AST, Callable[..., operations.Value]] = {}
        self.references: dict[ast.AST, Callable[..., operations.Value]] = {}
        self.callees: dict[ast.AST, tree.Signature] = {}

    def error(self, node: ast.AST, message: str, hint: str = "") -> None:
        """Note an error at a node, unless it or one inside it has been noted."""
        line = getattr(node, "lineno", 0)
        text = self.definition.line_text(line)
        start = _characters(text, getattr(node, "col_offset", 0))
        is_one_line = getattr(node, "end_lineno", line) == line
        end = _characters(text, getattr(node, "end_col_offset", 0)) if is_one_line else len(text)
        found = Diagnostic(
            file=self.definition.file,
            line=line,
            column=start,
            end_column=end,
            function=self.definition.name,
            text=text,
            message=message,
            hint=hint,
        )
        self.diagnostics[found] = None

    def unsupported(self, node: ast.AST, where: ast.AST | None = None) -> None:
        """Note that a node of Python is not part of typed Python."""
        name, instead = syntax.INSTEAD.get(type(node), (type(node).__name__, ""))
        self.error(where or node, f"{name} is not supported", instead)

    # -- values and types ------------------------------------------------------------------------------------------------

    def settle(self, node: ast.expr, value: Checked, kind: Scalar) -> tree.Expr | None:
        """The value as one of this type: a literal takes it, and a narrower type widens."""
        if value is None:
            return None
        if isinstance(value, Literal):
            return self._settle_literal(node, value.value, kind)
        if value.type is None:
            self.error(node, "this call has no value", "its function returns None")
            return None
        if value.type == kind:
            return value
        if not widens(value.type, kind):
            self.error(
                node,
                f"this is {value.type}, where {kind} is wanted",
                conversion(kind),
            )
            return None
        return self.converted(node, value, kind)

    def _settle_literal(self, node: ast.expr, value: float, kind: Scalar) -> tree.Expr | None:
        if kind is BOOL:
            self.error(node, "this is a number, where bool is wanted", "write a comparison")
        elif isinstance(kind, PointerType | CallableType):
            hint = f"write {kind}({value})" if isinstance(kind, PointerType) else ""
            self.error(node, f"this is a number, where {kind} is wanted", hint)
        elif kind.is_float:
            self.conversions[node] = kind
            return tree.Const(type=kind, value=operations.fit(kind, value))
        elif isinstance(value, int) and kind.holds(value):
            self.conversions[node] = kind
            return tree.Const(type=kind, value=value)
        elif isinstance(value, int):
            self.error(node, f"{kind} does not hold {value}")
        else:
            self.error(
                node, f"this is a float, where {kind} is wanted", f"write {kind}(...) to convert it"
            )
        return None

    def converted(self, node: ast.expr, value: tree.Expr, kind: Scalar) -> tree.Expr:
        """The value as one of another type, with a check if that is needed."""
        self.conversions[node] = kind
        return tree.Operation(
            name="convert", kind=kind, operands=(value,), place=tree.place_of(node)
        )

    def type_of(self, value: Checked) -> Scalar | None:
        """The type of a checked expression; of a literal, the one it takes when nothing else decides."""
        if isinstance(value, Literal):
            return F64 if isinstance(value.value, float) else I64
        return None if value is None else value.type

    def meet(self, node: ast.AST, values: Sequence[Checked], what: str) -> Scalar | None:
        """The type in which operands meet: literals take the others' type."""
        kinds = [
            value.type for value in values if value is not None and not isinstance(value, Literal)
        ]
        if None in values or None in kinds:
            if None in kinds:
                self.error(node, "a call of a function that returns None has no value")
            return None
        found: Scalar | None = None
        for kind in kinds:
            assert kind is not None  # noqa: S101  (for the type checker: looked at above)
            met = kind if found is None else common(found, kind)
            if met is None:
                self.error(
                    node,
                    f"{what} of {found} and {kind}",
                    f"write {found}(...) or {kind}(...) to convert one",
                )
                return None
            found = met
        for value in values:
            if not isinstance(value, Literal):
                continue
            if found is None or (isinstance(value.value, float) and not found.is_float):
                own = self.type_of(value)
                assert own is not None  # noqa: S101  (a literal has one)
                met = own if found is None or found is own else common(found, own)
                if met is None:
                    self.error(
                        node,
                        f"{what} of {found} and a float",
                        f"write f64(...) to convert the {found}",
                    )
                    return None
                found = met
        return found

    def wants(self, node: ast.AST, kind: Scalar | None, on: str, what: str) -> bool:
        """Whether an operation exists for a type; None: not known yet."""
        if kind is None:
            return False
        if kind.letter not in on:
            words = " or ".join(_KIND_WORDS[each] for each in on)
            self.error(node, f"{what} is for {words}, not for {kind}", self._advice(what, kind))
        return kind.letter in on

    @staticmethod
    def _advice(what: str, kind: Scalar) -> str:
        if what == "/" and kind.is_integer:
            return "write f64(...) / f64(...), or // for whole numbers"
        if kind is BOOL:
            return "write i32(...) to convert it"
        return f"write f64(...) to convert the {kind}" if kind.is_integer else ""

    def _constant(self, node: ast.expr, value: object) -> Checked:
        match value:
            case bool():
                return tree.Const(type=BOOL, value=value)
            case int() | float():
                return Literal(value)
            case None:
                self.error(node, "None is not a value of typed Python")
            case str() | bytes():
                self.error(
                    node, "text is not a value of typed Python", "pass bytes as an array of u8"
                )
            case Missing():
                pass
            case _:
                name = ast.unparse(node)
                if definition_of(value) is not None:
                    return self.function_reference(node, value)
                self.error(
                    node, f"{name} is {_article(value)}, which is no number", _how_to_use(value)
                )
        return None

    @abstractmethod
    def function_reference(self, node: ast.expr, value: object) -> Checked:
        """A compiled function that is named and not called."""

    def _name(self, node: ast.Name) -> Checked:
        if node.id in self.arrays:
            self.error(
                node, f"{node.id} is an array, where a number is wanted", "write an index behind it"
            )
            return None
        if node.id not in self.variables:
            return self._constant(node, self.resolve(node))
        if self.assigned is not None and node.id not in self.assigned:
            self.error(
                node, f"{node.id} may not have a value here", f"assign to it before: {node.id} = 0"
            )
        kind = self.variables[node.id]
        return None if kind is None else tree.Get(variable=tree.Variable(name=node.id, type=kind))

    def resolve(self, node: ast.expr) -> object:
        """What a dotted name means outside the function; `MISSING` after an error."""
        if isinstance(node, ast.Name):
            if node.id in self.variables or node.id in self.arrays:
                return VARIABLE
            try:
                return self.definition.lookup(node.id)
            except KeyError:
                self.error(node, f"{node.id} is not defined")
                return MISSING
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            if isinstance(owner, Missing):
                if owner is VARIABLE:
                    self.error(node, f"{ast.unparse(node.value)} has no attributes")
                return MISSING
            if isinstance(owner, ModuleType | type) and hasattr(owner, node.attr):
                return getattr(owner, node.attr)
            self.error(node, f"{ast.unparse(node)} is not defined")
            return MISSING
        self.error(node, "only a name can be called, or looked into")
        return MISSING


def conversion(kind: Scalar) -> str:
    """How to make a value of a type of another."""
    if isinstance(kind, CallableType):
        return "refer to a function of these types"
    return f"write {kind}(...) to convert it"


def _characters(text: str, bytes_offset: int) -> int:
    """A column in characters: Python's syntax trees count bytes of UTF-8."""
    return len(text.encode()[:bytes_offset].decode(errors="ignore"))


def _article(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _how_to_use(value: object) -> str:
    if isinstance(value, list | tuple | dict | set):
        return "pass its elements as an array"
    return "call it" if callable(value) else ""
