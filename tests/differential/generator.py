"""Random valid modules: typed expressions and structured control flow, made by recursive descent.

All loops count down a fuel global, so that each program ends.  Addresses are masked into memory but for a few.
"""

from __future__ import annotations

import random
from typing import Final

TYPES: Final = ("i32", "i64", "f32", "f64")
_LOCALS: Final = 8  # two of each type, after the parameters
_CONSTANTS: Final = {
    "i32": ("0", "1", "-1", "7", "31", "255", "65536", "-2147483648", "2147483647", "305419896"),
    "i64": ("0", "1", "-1", "63", "4294967296", "-9223372036854775808", "81985529216486895"),
    "f32": ("0", "-0", "1", "-1.5", "3.25e10", "1e-40", "inf", "0x1.fffffep+127", "nan"),
    "f64": ("0", "-0", "1", "0.1", "-1e300", "5e-324", "-inf", "4294967296.5", "nan"),
}
_BINARY: Final = {
    "i32": [
        "add",
        "sub",
        "mul",
        "and",
        "or",
        "xor",
        "shl",
        "shr_s",
        "shr_u",
        "rotl",
        "rotr",
        "div_s",
        "div_u",
        "rem_s",
        "rem_u",
    ],
    "f32": ["add", "sub", "mul", "div", "min", "max", "copysign"],
}
_BINARY["i64"], _BINARY["f64"] = _BINARY["i32"], _BINARY["f32"]
_UNARY: Final = {
    "i32": ["clz", "ctz", "popcnt", "extend8_s", "extend16_s"],
    "i64": ["clz", "ctz", "popcnt", "extend8_s", "extend16_s", "extend32_s"],
    "f32": ["abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt"],
}
_UNARY["f64"] = _UNARY["f32"]
_COMPARE: Final = {
    "i32": ["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"],
    "f32": ["eq", "ne", "lt", "gt", "le", "ge"],
}
_COMPARE["i64"], _COMPARE["f64"] = _COMPARE["i32"], _COMPARE["f32"]
_CONVERT: Final = {
    "i32": (("i64", "i32.wrap_i64"), ("f32", "i32.trunc_sat_f32_s"), ("f64", "i32.trunc_f64_s")),
    "i64": (
        ("i32", "i64.extend_i32_u"),
        ("f64", "i64.trunc_sat_f64_u"),
        ("f32", "i64.trunc_f32_s"),
    ),
    "f32": (("i32", "f32.convert_i32_s"), ("f64", "f32.demote_f64"), ("i64", "f32.convert_i64_u")),
    "f64": (("f32", "f64.promote_f32"), ("i64", "f64.convert_i64_s"), ("i32", "f64.convert_i32_u")),
}
_LOADS: Final = {
    "i32": ("i32.load", "i32.load8_s", "i32.load16_u"),
    "i64": ("i64.load", "i64.load8_u", "i64.load32_s"),
    "f32": ("f32.load",),
    "f64": ("f64.load",),
}
_STORES: Final = {
    "i32": ("i32.store", "i32.store8", "i32.store16"),
    "i64": ("i64.store", "i64.store8", "i64.store32"),
    "f32": ("f32.store",),
    "f64": ("f64.store",),
}
FUNCTIONS: Final = 4


class Generator:
    """Makes one module from a seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311  (a reproducible sequence)
        self._labels: list[
            str | None
        ] = []  # result type of each open block; None: a loop or no result
        self._room = 0

    def module(self) -> str:
        """Functions f0… of (i32, i64, f32, f64) and one result each, a memory, a table, globals."""
        functions = [self._function(index) for index in range(FUNCTIONS)]
        names = " ".join(f"$f{index}" for index in range(FUNCTIONS))
        return f"""(module (memory (export "memory") 1 3) (table 6 funcref) (elem (i32.const 1) {names})
  (global $fuel (mut i32) (i32.const 400)) (global $g (mut i64) (i64.const 77))
  (data (i32.const 16) "\\01\\80\\ff\\7f interlock \\c0\\7f\\f8\\ff")
  {"".join(functions)})"""

    def _function(self, index: int) -> str:
        self._room = 60
        self._labels = []
        result = TYPES[index % 4]
        body = " ".join(self._statement(index, 3) for _ in range(self._chance.randrange(2, 6)))
        value = self._expression(index, result, 4)
        locals_ = " ".join(f"(local {kind} {kind})" for kind in TYPES)
        return f"""
  (func $f{index} (export "f{index}") (param i32 i64 f32 f64) (result {result}) {locals_}
    {body} {value})"""

    def _local(self, kind: str) -> int:
        at = TYPES.index(kind)
        return self._chance.choice((at, 4 + 2 * at, 5 + 2 * at))

    def _address(self, index: int, depth: int) -> str:
        inner = self._expression(index, "i32", depth - 1)
        if self._chance.random() < 0.02:
            return inner
        return f"(i32.and {inner} (i32.const 0xff8))"

    def _expression(self, index: int, kind: str, depth: int) -> str:
        self._room -= 1
        chance = self._chance
        if depth <= 0 or self._room < 0:
            if chance.random() < 0.5:
                return f"(local.get {self._local(kind)})"
            return f"({kind}.const {chance.choice(_CONSTANTS[kind])})"

        def part(of: str = kind) -> str:
            return self._expression(index, of, depth - 1)

        match chance.randrange(13):
            case 0 | 1 | 2:
                return f"({kind}.{chance.choice(_BINARY[kind])} {part()} {part()})"
            case 3:
                return f"({kind}.{chance.choice(_UNARY[kind])} {part()})"
            case 4:
                source, name = chance.choice(_CONVERT[kind])
                return f"({name} {part(source)})"
            case 5:
                offset = chance.choice((0, 1, 8, 4000))
                name = chance.choice(_LOADS[kind])
                return f"({name} offset={offset} {self._address(index, depth)})"
            case 6:
                return f"(select {part()} {part()} {part('i32')})"
            case 7:
                self._labels.append(kind)
                inner = f"{self._statement(index, depth - 1)} {part()}"
                self._labels.pop()
                return f"(block (result {kind}) {inner})"
            case 8:
                return f"(if (result {kind}) {part('i32')} (then {part()}) (else {part()}))"
            case 9 if kind == "i32":
                other = chance.choice(TYPES)
                return f"({other}.{chance.choice(_COMPARE[other])} {part(other)} {part(other)})"
            case 10 if index:
                # Only functions before this one, so that nothing recurses.
                callee = chance.choice(
                    [each for each in range(index) if TYPES[each % 4] == kind] or [-1]
                )
                if callee >= 0:
                    args = " ".join(part(each) for each in TYPES)
                    return f"(call $f{callee} {args})"
                return f"(local.get {self._local(kind)})"
            case 11 if index:
                args = " ".join(part(each) for each in TYPES)
                slot = chance.randrange(index) + 1 if chance.random() < 0.9 else 0
                params = "(param i32 i64 f32 f64)"
                return f"(call_indirect {params} (result {kind}) {args} (i32.const {slot}))"
            case 12 if kind == "i32":
                return chance.choice(
                    ("(memory.size)", f"(memory.grow (i32.and {part()} (i32.const 1)))")
                )
            case 12 if kind == "i64":
                return "(global.get $g)"
            case _:
                at = self._local(kind)
                return f"(local.tee {at} {part()})"

    def _statement(self, index: int, depth: int) -> str:
        self._room -= 1
        chance = self._chance
        kind = chance.choice(TYPES)

        def part(of: str = kind) -> str:
            return self._expression(index, of, depth - 1)

        match chance.randrange(9) if depth > 0 and self._room > 0 else 0:
            case 1:
                name, offset = chance.choice(_STORES[kind]), chance.choice((0, 2, 4090))
                return f"({name} offset={offset} {self._address(index, depth)} {part()})"
            case 2:
                self._labels.append(None)
                inner = f"{self._statement(index, depth - 1)} {self._statement(index, depth - 1)}"
                self._labels.pop()
                spent = "(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))"
                again = (
                    f"(br_if 0 (i32.and (i32.gt_s (global.get $fuel) (i32.const 0)) {part('i32')}))"
                )
                return f"(loop {spent} {inner} {again})"
            case 3:
                self._labels.append(None)
                inner = self._statement(index, depth - 1)
                leave = f"(br_if 0 {part('i32')})"
                self._labels.pop()
                return f"(block {leave} {inner})"
            case 4:
                inner = self._statement(index, depth - 1)
                return (
                    f"(if {part('i32')} (then {inner}) (else {self._statement(index, depth - 1)}))"
                )
            case 5:
                cases = chance.randrange(1, 6)
                opened = "(block " * cases
                targets = " ".join(
                    str(chance.randrange(cases)) for _ in range(chance.randrange(1, 9))
                )
                closed = "".join(f") {self._statement(index, depth - 2)}" for _ in range(cases))
                # The innermost block ends in the branch itself.
                return f"{opened}(br_table {targets} {part('i32')}){closed}"
            case 6:
                return f"(global.set $g {part('i64')})"
            case 7:
                to, source, count = part("i32"), part("i32"), part("i32")
                small = f"(i32.and {count} (i32.const 63))"
                low = f"(i32.and {to} (i32.const 0x7ff))"
                if chance.random() < 0.5:
                    return f"(memory.fill {low} {source} {small})"
                return f"(memory.copy {low} (i32.and {source} (i32.const 0x7ff)) {small})"
            case 8:
                return f"(drop {part()})"
            case _:
                return f"(local.set {self._local(kind)} {part()})"
