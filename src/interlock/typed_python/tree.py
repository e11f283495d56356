"""The typed tree: what the checker makes of a function's source, and all that the lowering reads.

Every operand has the type its operation wants: conversions are operations of their own.  Names are resolved, literals have
types, chained comparisons and `match` are taken apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from interlock.typed_python.scalars import BOOL, I64, Scalar

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping

    from interlock.typed_python.layout import (
        ArrayType,
        CallableType,
        Element,
        PointerType,
        Record,
        Type,
    )
    from interlock.typed_python.source import Definition


class Place(NamedTuple):
    """Where an expression or statement stands, as Python's syntax trees say it: lines from 1, columns in bytes from 0."""

    line: int
    column: int
    end_line: int
    end_column: int


def place_of(node: ast.expr | ast.stmt) -> Place:
    """The place of a node of Python's syntax tree."""
    return Place(
        node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A parameter, a local variable, or a temporary of the checker's (its name starts with `$`)."""

    name: str
    type: Scalar


# -- expressions -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """A number of a type."""

    type: Scalar
    value: int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Get:
    """The value of a variable."""

    variable: Variable

    @property
    def type(self) -> Scalar:
        """The variable's."""
        return self.variable.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Tee:
    """Assigns to a variable, and has its value."""

    variable: Variable
    value: Expr

    @property
    def type(self) -> Scalar:
        """The variable's."""
        return self.variable.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An entry of `operations.REFERENCES`; `kind` is the type that it computes in, and `place` where it raises."""

    name: str
    kind: Scalar
    operands: tuple[Expr, ...]
    place: Place

    @property
    def type(self) -> Scalar:
        """The result has the type that is computed in."""
        return self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`name` is eq, ne, lt, le, gt or ge; the operands have one type."""

    name: str
    left: Expr
    right: Expr

    @property
    def type(self) -> Scalar:
        """A comparison is a bool."""
        return BOOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """`then if condition else otherwise`; `and`, `or` and `not` are written so too."""

    condition: Expr
    then: Expr
    otherwise: Expr
    type: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of another compiled function."""

    callee: Signature
    arguments: tuple[Expr | Array, ...]
    place: Place

    @property
    def type(self) -> Scalar | None:
        """The callee's result; None: it returns nothing."""
        return self.callee.result


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """An array parameter."""

    name: str
    type: ArrayType


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An element of an array: its indices are i64, negative ones count from the end; `offset` is that of a struct's field."""

    array: Array
    indices: tuple[Expr, ...]
    element: Element | Record
    offset: int
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Deref:
    """What lies behind a pointer; `offset` is that of a struct's field."""

    pointer: Expr
    element: Element | Record
    offset: int
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A pointer moved by `index * scale + offset` bytes, modulo 2**32; the index is an i64."""

    pointer: Expr
    index: Expr | None
    scale: int
    offset: int
    type: PointerType


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An instruction for the whole memory, or a cast, which is none."""

    name: str
    operands: tuple[Expr, ...]
    type: Scalar | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference to a compiled function; its number in the program's table."""

    callee: Signature
    number: int
    type: CallableType


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReference:
    """A call of what a reference leads to."""

    function: Expr
    kind: CallableType
    arguments: tuple[Expr, ...]

    @property
    def type(self) -> Scalar | None:
        """The callee's result."""
        return self.kind.result


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Reads a number of an array, or behind a pointer."""

    access: Access | Deref
    element: Element

    @property
    def type(self) -> Scalar:
        """What the element is when it has been read."""
        return self.element.scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """The length of an array in one dimension."""

    array: Array
    dimension: int

    @property
    def type(self) -> Scalar:
        """A length is an i64."""
        return I64


Expr: TypeAlias = (
    Const
    | Get
    | Tee
    | Operation
    | Comparison
    | Conditional
    | Call
    | Load
    | Length
    | Address
    | Raw
    | Reference
    | CallReference
)


# -- statements --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Assigns to a variable."""

    variable: Variable
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Writes a number, after it has been computed; a narrow element is an `OverflowError` if it does not fit."""

    access: Access | Deref
    element: Element
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """An expression for its effect; its value is dropped."""

    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class If:
    """Two branches."""

    condition: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class While:
    """A loop; `otherwise` runs when the condition ends it."""

    condition: Expr
    body: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForRange:
    """A loop over `range(start, stop, step)`, evaluated once; `otherwise` runs when it ends."""

    variable: Variable
    start: Expr
    stop: Expr
    step: Expr
    body: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...]
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Leaves the function."""

    value: Expr | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Leaves the innermost loop, past its `otherwise`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """Goes on with the innermost loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """Raises a built-in exception with a constant message."""

    exception: str
    message: str
    place: Place


Stmt: TypeAlias = (
    Assign | Store | Evaluate | If | While | ForRange | Return | Break | Continue | Raise
)


# -- functions ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A function with the types of its parameters: the name under which a program compiles it once."""

    definition: Definition
    params: tuple[Type, ...]
    result: Scalar | None = field(compare=False)

    @property
    def name(self) -> str:
        """The function's own."""
        return self.definition.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A checked function."""

    signature: Signature
    params: tuple[Variable | Array, ...]
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Checked functions that call only each other; the `exported` ones can be called from outside, under their names."""

    functions: tuple[Function, ...]
    written: Mapping[Signature, frozenset[str]]  # the array parameters that each may write
    exported: tuple[Signature, ...]
    referenced: tuple[Signature, ...]  # reference number n leads to n - 1
