"""Random programs of typed Python: two functions, one of which may be inlined, and arguments for a call.

Half of them have memory: an array, eight structs behind a pointer, pointers between these, and references to functions.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import hypothesis.strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Draw: TypeAlias = "Callable[[st.SearchStrategy[Any]], Any]"

INTEGERS = ("i32", "u32", "i64", "u64")
FLOATS = ("f32", "f64")
KINDS = (*INTEGERS, *FLOATS, "bool")
_WIDTHS = {"i32": 32, "u32": 32, "i64": 64, "u64": 64}
_ARITHMETIC = ("+", "-", "*", "+", "-", "*", "//", "%", "&", "|", "^")
_INTRINSICS = (
    "wrapping_add",
    "wrapping_sub",
    "wrapping_mul",
    "wrapping_shl",
    "rotl",
    "rotr",
    "min",
    "max",
)
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
HEAD = """\
import math
from collections.abc import Callable
from interlock import jit, struct
from interlock.intrinsics import *
from interlock.raw import *
from interlock.types import *

"""
MEMORY_HEAD = """\
@struct
class Inner:
    u: i16
    v: f32

@struct
class Outer:
    a: i32
    b: u8
    c: f64
    d: u64
    e: bool
    f: i64
    g: u32
    inner: Inner
    next: "Pointer[Outer]"
    call: Callable[[i32], i32]

@jit
def third(x: i32) -> i32:
    return x // 3

@jit(inline=True)
def checked(x: i32) -> i32:
    return x * 77

@jit
def other(x: i64) -> i32:
    return i32(x)

"""
MEMORY_PARAMS = "p: Pointer[Outer], n: Array[i32], "
STRUCTS = 8  # and so many numbers in the array
_FIELDS = {
    "i32": ("a", "b", "inner.u"),
    "u32": ("g",),
    "i64": ("f",),
    "u64": ("d",),
    "f32": ("inner.v",),
    "f64": ("c",),
    "bool": ("e",),
}


def ends(kind: str) -> tuple[int, int]:
    """The smallest and the largest integer of a type."""
    bits = _WIDTHS[kind]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)


def arguments(kind: str) -> st.SearchStrategy[Any]:
    """Values of a type, mostly small ones and those at its ends."""
    if kind == "bool":
        return st.booleans()
    if kind in FLOATS:
        special = st.sampled_from([0.0, -0.0, 1.0, -1.5, math.inf, -math.inf, math.nan, 3.0e9])
        return special | st.floats(width=32)
    low, high = ends(kind)
    near = st.sampled_from([low, low + 1, high - 1, high, 0, 1, 2, 31])
    return near | st.integers(max(low, -9), 9) | st.integers(low, high)


@dataclass
class _Function:
    """What has been drawn of one function."""

    draw: Draw
    callee: tuple[str, Sequence[str], str] | None
    has_memory: bool
    variables: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)  # counters of loops
    loops: int = 0

    def pick(self, items: Sequence[Any]) -> Any:
        """One of these."""
        return self.draw(st.sampled_from(items))

    def expression(self, kind: str, depth: int) -> str:
        """An expression of a type."""
        known = [name for name, found in self.variables.items() if found == kind]
        if depth == 0 or self.pick((0, 0, 1, 1, 1)) == 0:
            return self.pick(known) if known and self.pick((0, 1, 1)) else self.constant(kind)
        choices = ("own", "own", "own", "conditional", "call", "convert")
        choice = self.pick((*choices, "memory", "memory") if self.has_memory else choices)
        if choice == "memory":
            return (
                self.place(kind, depth - 1) if self.pick((0, 1, 1)) else self._read(kind, depth - 1)
            )
        if choice == "conditional":
            condition = self.expression("bool", depth - 1)
            first, second = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
            return f"({first} if {condition} else {second})"
        if choice == "call" and self.callee is not None and self.callee[2] == kind:
            name, params, _ = self.callee
            passed = [self.expression(each, depth - 1) for each in params]
            return f"{name}({', '.join(['p', 'n'] * self.has_memory + passed)})"
        if choice == "convert" and kind != "bool":
            source = self.pick([each for each in KINDS if each != kind])
            operand = self.expression(source, depth - 1)
            is_wrap = kind in INTEGERS and source in INTEGERS and self.pick((0, 1))
            # A bare literal has no type to wrap from.
            return f"wrap({kind}, {source}({operand}))" if is_wrap else f"{kind}({operand})"
        return self._of_kind(kind, depth - 1)

    def place(self, kind: str, depth: int) -> str:
        """A number in memory: of the array or of a struct."""
        at = f"{self.expression('i32', depth)} & {STRUCTS - 1}"
        field = self.pick(_FIELDS[kind])
        if kind == "i32" and self.pick((0, 1)):
            return f"n[{self.pick((at, f'-1 - ({at})', str(STRUCTS)))}]"
        return self.pick((f"p[{at}].{field}", f"(p + ({at})).{field}", f"p.{field}"))

    def _read(self, kind: str, depth: int) -> str:
        """What only memory gives: a number behind two pointers, a call of a reference, comparisons of these."""
        at = f"{self.expression('i32', depth)} & {STRUCTS - 1}"
        if kind == "i32" and self.pick((0, 1)):
            return f"p[{at}].call({self.expression('i32', depth)})"
        if kind == "bool" and self.pick((0, 1)):
            return self.pick(
                (
                    f"(p[{at}].next {self.pick(_COMPARISONS)} p)",
                    f"(p[{at}].call == {self.pick(('third', 'checked'))})",
                    f"bool(p[{at}].next)",
                )
            )
        if kind == "u32" and self.pick((0, 1)):
            ends = self.pick((("p[3].inner", "p"), ("p.next", "p.call"), ("p.d", "p.a")))
            return f"(u32(address_of({ends[0]})) - u32({ends[1] if ends[1] == 'p' else f'address_of({ends[1]})'}))"
        default = self.expression(kind, depth)
        field = self.pick(_FIELDS[kind])
        return f"(p.next.{field} if p.next else {default})"

    def _write(self) -> list[str]:
        """A statement that writes memory."""
        kind = self.pick(KINDS)
        at = f"{self.expression('i32', 1)} & {STRUCTS - 1}"
        choice = self.pick(("number", "number", "augmented", "link", "refer", "copy"))
        if choice == "number":
            # A constant that a narrow field does not hold is an error of the compiler's.
            computed = " | 0" if kind == "i32" else ""
            return [f"{self.place(kind, 1)} = {self.expression(kind, 2)}{computed}"]
        if choice == "augmented" and kind != "bool":
            return [f"{self.place(kind, 1)} {self.pick('+-*')}= {self.expression(kind, 2)}"]
        if choice == "link":
            return [f"p[{at}].next = p + ({self.expression('i32', 1)} & {STRUCTS - 1})"]
        if choice == "refer":
            functions = ("third", "checked")
            stored = f"p[{at}].call = {self.pick(functions)}"
            wrong = f"Pointer[Callable[[i64], i32]](address_of(p[{at}].call))[0] = other"
            return [self.pick((stored, stored, stored, wrong))]
        size = "size_of(Outer)"
        return [
            self.pick(
                (
                    f"memory_copy(p + ({at}), p + 3, {size} * {self.pick((0, 1))})",
                    f"memory_fill(address_of(p[{at}].d), {self.expression('i32', 1)}, 8)",
                )
            )
        ]

    def _of_kind(self, kind: str, depth: int) -> str:
        left, right = self.expression(kind, depth), self.expression(kind, depth)
        if kind == "bool":
            return self._condition(left, right, depth)
        if kind in FLOATS:
            return self.pick(
                (
                    f"({left} {self.pick('+-*/')} {right})",
                    f"(f64({left}) {self.pick(('%', '//'))} {right})" if kind == "f64" else right,
                    f"{self.pick(('min', 'max', 'copysign', 'ieee_div'))}({kind}({left}), {right})",
                    f"{self.pick(('sqrt', 'math.sqrt', 'floor', 'ceil', 'trunc', 'nearest', 'abs'))}({kind}({left}))",
                    f"(-{left})",
                )
            )
        return self.pick(
            (
                f"({left} {self.pick(_ARITHMETIC)} {right})",
                f"({left} {self.pick(('<<', '>>'))} {self.draw(st.integers(0, 40))})",
                f"({left} {self.pick(('<<', '>>'))} ({right} & 63))",
                f"{self.pick(_INTRINSICS)}({kind}({left}), {right})",
                f"{self.pick(('clz', 'ctz', 'popcnt', 'abs', 'wrapping_neg'))}({kind}({left}))",
                f"({'-' if kind[0] == 'u' else self.pick('-~')}{kind}({left}))",
                f"({left})**{self.draw(st.integers(0, 5))}",
            )
        )

    def _condition(self, left: str, right: str, depth: int) -> str:
        kind = self.pick(KINDS[:-1])
        operands = [self.expression(kind, depth) for _ in range(3)]
        first, second = self.pick(_COMPARISONS), self.pick(_COMPARISONS)
        return self.pick(
            (
                f"({left} {self.pick(('and', 'or', '==', '^'))} {right})",
                f"(not {left})",
                f"({operands[0]} {first} {operands[1]})",
                f"({operands[0]} {first} {operands[1]} {second} {operands[2]})",
            )
        )

    def constant(self, kind: str) -> str:
        """A literal of a type, of which there are few."""
        if kind == "bool":
            return self.pick(("True", "False"))
        if kind in FLOATS:
            return f"{kind}({self.pick((0.0, 0.5, 1.0, -2.25, 1e10))})"
        low, high = ends(kind)
        return f"{kind}({self.pick([0, 1, 2, 3, 7, 100, high, max(low, -1), low])})"

    def block(self, depth: int, size: int) -> list[str]:
        """Statements; variables that they make are forgotten at the end, since they may not be assigned."""
        before = dict(self.variables)
        lines = [
            line for _ in range(self.draw(st.integers(1, size))) for line in self.statement(depth)
        ]
        self.variables = before
        return lines

    def statement(self, depth: int) -> list[str]:
        """One statement as lines."""
        choice = self.pick(
            (
                *(
                    ("new", "assign", "assign", "if", "for", "while", "match")
                    if depth
                    else ("new", "assign")
                ),
                *(("write", "write") if self.has_memory else ()),
            )
        )
        if choice == "write":
            return self._write()
        if choice == "if":
            lines = [f"if {self.expression('bool', 2)}:", *_indented(self.block(depth - 1, 3))]
            return lines + (
                ["else:", *_indented(self.block(depth - 1, 2))] if self.pick((0, 1)) else []
            )
        if choice in {"for", "while"}:
            return self._loop(choice, depth)
        if choice == "match":
            kind = self.pick(INTEGERS)
            cases = [f"    case {self.pick((0, 1, '2 | 3', 100))}:", "    case _:"]
            bodies = [_indented(_indented(self.block(depth - 1, 2))) for _ in cases]
            return [
                f"match {self.expression(kind, 2)}:",
                cases[0],
                *bodies[0],
                cases[1],
                *bodies[1],
            ]
        targets = [name for name in self.variables if name not in self.fixed]
        if choice == "assign" and targets:
            name = self.pick(targets)
            kind = self.variables[name]
            if kind != "bool" and self.pick((0, 1)):
                return [f"{name} {self.pick('+-*')}= {self.expression(kind, 2)}"]
            return [f"{name} = {self.expression(kind, 3)}"]
        kind = self.pick(KINDS)
        name = f"v{len(self.variables)}_{kind}"
        line = f"{name}: {kind} = {self.expression(kind, 3)}"
        self.variables[name] = kind
        return [line]

    def _loop(self, choice: str, depth: int) -> list[str]:
        self.loops += 1
        name, bound = f"n{self.loops}", self.draw(st.integers(0, 4))
        before = dict(self.variables)
        if choice == "for":
            kind = self.pick(INTEGERS)
            step = self.pick((1, 2, 3) if kind[0] == "u" else (1, 2, -1, -3))
            start, stop = (0, bound) if step > 0 else (bound, -1)
            head = [f"{name}: {kind}", f"for {name} in range({start}, {stop}, {step}):"]
            tail: list[str] = []
        else:
            kind = "i32"
            head, tail = [f"{name}: i32 = 0", f"while {name} < {bound}:"], [f"{name} += 1"]
        self.variables[name] = kind
        self.fixed.add(name)
        body = self.block(depth - 1, 3)
        exits = ("pass", "break", "continue") if choice == "for" else ("pass", "break")
        leave = [f"if {self.expression('bool', 2)}:", f"    {self.pick(exits)}"]
        lines = [*head, *_indented(tail + leave + body)]
        self.variables = before
        if self.pick((0, 0, 1)):
            lines += ["else:", *_indented(self.block(depth - 1, 1))]
        return lines


def _indented(lines: list[str]) -> list[str]:
    return textwrap.indent("\n".join(lines), "    ").splitlines()


def _function(
    draw: Draw,
    name: str,
    decorator: str,
    callee: tuple[str, Sequence[str], str] | None,
    *,
    has_memory: bool,
) -> tuple[str, Sequence[str], str]:
    params = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    result = draw(st.sampled_from(KINDS))
    names = [f"p{at}" for at in range(len(params))]
    to = _Function(draw, callee, has_memory, dict(zip(names, params, strict=True)))
    lines = [line for _ in range(draw(st.integers(1, 4))) for line in to.statement(2)]
    head = MEMORY_PARAMS * has_memory
    head += ", ".join(f"{each}: {kind}" for each, kind in zip(names, params, strict=True))
    body = "\n".join(_indented([*lines, f"return {to.expression(result, 3)}"]))
    return f"@{decorator}\ndef {name}({head}) -> {result}:\n{body}\n", params, result


@st.composite
def programs(draw: Draw) -> tuple[str, list[tuple[Any, ...]]]:
    """The source of a function `f`, and arguments for calls of it."""
    decorator = draw(st.sampled_from(["jit", "jit(inline=True)"]))
    has_memory = draw(st.booleans())
    callee, params, result = _function(draw, "g", decorator, None, has_memory=has_memory)
    source, own, _ = _function(draw, "f", "jit", ("g", params, result), has_memory=has_memory)
    calls = draw(st.lists(st.tuples(*map(arguments, own)), min_size=1, max_size=4))
    return f"{HEAD}{MEMORY_HEAD * has_memory}{callee}\n{source}", calls
