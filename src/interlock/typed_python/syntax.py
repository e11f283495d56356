"""The tables of what typed Python supports: the checker works by them, and `docs/reference/typed-python.md` is made from them."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from interlock import intrinsics

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator of Python: the operation it is, and for which types."""

    symbol: str
    name: str  # in operations.REFERENCES
    on: str  # some of: i integers, f floats, b bools
    raises: str = ""


_OUT_OF_RANGE: Final = "`OverflowError` if an integer type does not hold the result"

BINARY: Final[dict[type[ast.operator], Operator]] = {
    ast.Add: Operator(symbol="+", name="add", on="if", raises=_OUT_OF_RANGE),
    ast.Sub: Operator(symbol="-", name="sub", on="if", raises=_OUT_OF_RANGE),
    ast.Mult: Operator(symbol="*", name="mul", on="if", raises=_OUT_OF_RANGE),
    ast.Div: Operator(
        symbol="/", name="truediv", on="f", raises="`ZeroDivisionError`; 32-bit integers become f64"
    ),
    ast.FloorDiv: Operator(
        symbol="//", name="floordiv", on="if", raises=f"`ZeroDivisionError`; {_OUT_OF_RANGE}"
    ),
    ast.Mod: Operator(symbol="%", name="mod", on="if", raises="`ZeroDivisionError`; floats: f64"),
    ast.Pow: Operator(
        symbol="**",
        name="pow",
        on="if",
        raises=f"{_OUT_OF_RANGE}; the exponent is a constant from 0 to 64; repeated multiplication",
    ),
    ast.LShift: Operator(
        symbol="<<",
        name="lshift",
        on="i",
        raises="`ValueError` for a negative count; `OverflowError` for lost bits or a count not below the width",
    ),
    ast.RShift: Operator(
        symbol=">>", name="rshift", on="i", raises="`ValueError` for a negative count"
    ),
    ast.BitAnd: Operator(symbol="&", name="and", on="ib"),
    ast.BitOr: Operator(symbol="|", name="or", on="ib"),
    ast.BitXor: Operator(symbol="^", name="xor", on="ib"),
}

UNARY: Final[dict[type[ast.unaryop], Operator]] = {
    ast.USub: Operator(symbol="-", name="neg", on="if", raises=_OUT_OF_RANGE),
    ast.Invert: Operator(symbol="~", name="invert", on="i", raises="signed integers only"),
}

COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A function with a meaning of its own: the operation it is, for which types, and of how many operands."""

    name: str
    on: str
    operand_count: int
    says: str
    takes_type: bool = False  # its first argument is the type of the result


_PYTHONS: Final[dict[Callable[..., Any], Builtin]] = {
    abs: Builtin(
        name="abs", on="if", operand_count=1, says="`OverflowError` for the smallest integer"
    ),
    min: Builtin(name="min", on="if", operand_count=2, says="as Python's, also for NaN"),
    max: Builtin(name="max", on="if", operand_count=2, says="as Python's, also for NaN"),
    math.sqrt: Builtin(
        name="math.sqrt", on="f", operand_count=1, says="`ValueError` for a negative number"
    ),
    math.fabs: Builtin(name="fabs", on="f", operand_count=1, says="the magnitude"),
    math.copysign: Builtin(name="copysign", on="f", operand_count=2, says="magnitude and sign"),
}
FUNCTIONS: Final[dict[Callable[..., Any], Builtin]] = _PYTHONS | {
    getattr(intrinsics, name): Builtin(
        name=name,
        on=on,
        operand_count=count,
        says=(getattr(intrinsics, name).__doc__ or "").removesuffix("."),
        takes_type=name == "wrap",
    )
    for on, count, names in (
        ("i", 2, "wrapping_add wrapping_sub wrapping_mul wrapping_shl rotl rotr"),
        ("i", 1, "wrapping_neg wrap clz ctz popcnt"),
        ("f", 2, "ieee_div copysign"),
        ("f", 1, "sqrt floor ceil trunc nearest fabs"),
    )
    for name in names.split()
}
"""By the function itself; conversions, `bitcast`, `range` and compiled functions have rules of their own."""

EXPRESSIONS: Final[dict[type[ast.expr], str]] = {
    ast.Constant: "integers, floats and bools; an integer or float takes the type of what it stands beside",
    ast.Name: "variables, parameters, constants of the module or of an enclosing function, and references to compiled functions",
    ast.Attribute: "a constant or function of a module: `math.pi`; a field of a struct: `a[i].x`, `p.x`; `a.shape[0]`",
    ast.Subscript: "an element of an array or behind a pointer: `a[i]`, `a[i, j]`, `p[i]`",
    ast.BinOp: "the operators below; the types mix where one holds every value of both",
    ast.UnaryOp: "`-`, `+`, `~`, `not`",
    ast.BoolOp: "`and`, `or`: of bools, or of conditions",
    ast.Compare: "`==`, `!=`, `<`, `<=`, `>`, `>=`, also chained",
    ast.IfExp: "`a if condition else b`",
    ast.Call: "compiled functions, references to them, conversions, and the functions below; arguments by position",
}

STATEMENTS: Final[dict[type[ast.stmt], str]] = {
    ast.Assign: "to variables, elements of arrays and what pointers lead to, also several: `a = b = 0`, `a, b = b, a`",
    ast.AnnAssign: "`x: f64 = 0`, or without a value: gives a variable its type",
    ast.AugAssign: "with the operators below",
    ast.If: "with `elif` and `else`",
    ast.While: "with `else`",
    ast.For: "over `range`, with `else`",
    ast.Break: "",
    ast.Continue: "",
    ast.Match: "on constants: values, `|`, `_`, a name, guards",
    ast.Return: "",
    ast.Raise: 'a built-in exception with a constant text: `raise ValueError("negative")`',
    ast.Assert: "with a constant text or none; never left out",
    ast.Expr: "a call, for its effect",
    ast.Pass: "",
}
"""What each supported statement is; `StatementChecker` has a method for each."""

INSTEAD: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.List: ("a list", "use an array that the caller makes"),
    ast.Tuple: ("a tuple", "return one value, or write into an array"),
    ast.Dict: ("a dictionary", "use arrays"),
    ast.Set: ("a set", "use an array"),
    ast.ListComp: ("a comprehension", "write a loop"),
    ast.SetComp: ("a comprehension", "write a loop"),
    ast.DictComp: ("a comprehension", "write a loop"),
    ast.GeneratorExp: ("a generator", "write a loop"),
    ast.Lambda: ("a lambda", "write a function with def and @interlock.jit"),
    ast.JoinedStr: ("an f-string", "do this in the caller"),
    ast.NamedExpr: (":=", "write the assignment as a statement of its own"),
    ast.Await: ("await", "do this in the caller"),
    ast.Yield: ("yield", "write into an array"),
    ast.YieldFrom: ("yield", "write into an array"),
    ast.Starred: ("*", "write the arguments one by one"),
    ast.Subscript: ("indexing here", "assign to a variable first"),
    ast.Slice: ("a slice", "pass the range as two numbers"),
    ast.Try: ("try", "catch the exception in the caller"),
    ast.With: ("with", "do this in the caller"),
    ast.FunctionDef: ("a nested function", "write it beside this one, with @interlock.jit"),
    ast.ClassDef: ("a class", "write it outside the function"),
    ast.Import: ("import", "write it outside the function"),
    ast.ImportFrom: ("import", "write it outside the function"),
    ast.Global: ("global", "pass the value as a parameter and return the new one"),
    ast.Nonlocal: ("nonlocal", "pass the value as a parameter and return the new one"),
    ast.Attribute: ("an attribute", "use a variable"),
    ast.Delete: ("del", "leave it out: a variable costs nothing"),
    ast.Is: ("is", "write =="),
    ast.IsNot: ("is not", "write !="),
    ast.In: ("in", "write comparisons with or"),
    ast.NotIn: ("not in", "write comparisons with and"),
    ast.MatMult: ("@", "write the loops"),
}
"""What is not supported, by Python's node: its name, and what to write instead."""
