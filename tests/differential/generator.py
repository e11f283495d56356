"""Random valid modules: typed expressions and structured control flow, made by recursive descent.

What the standard leaves open stays out of sight: a NaN becomes one and the same before its bits can be seen.  All loops count
down a fuel global, which `refuel` fills, so that each call ends; addresses are masked into memory but for a few.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from interlock.bytecode import OPCODES, VALIDATED_FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.bytecode import Opcode

TYPES: Final = ("i32", "i64", "f32", "f64")
FUNCTIONS: Final = 4
_SEVERAL: Final = ("f64", "i32", "i64")  # results of the function $several
_CONSTANTS: Final = {
    "i32": ("0", "1", "-1", "7", "31", "255", "65536", "-2147483648", "2147483647", "305419896"),
    "i64": ("0", "1", "-1", "63", "4294967296", "-9223372036854775808", "81985529216486895"),
    "f32": ("0", "-0", "1", "-1.5", "3.25e10", "1e-40", "inf", "0x1.fffffep+127", "nan:0x200000"),
    "f64": ("0", "-0", "1", "0.1", "-1e300", "5e-324", "-inf", "4294967296.5", "nan:0x1"),
}
_SPENT: Final = "(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))"
_IS_EMPTY: Final = "(i32.le_s (global.get $fuel) (i32.const 0))"


def _names(opcode: Opcode) -> tuple[list[str], list[str]]:
    params, results = opcode.params or (), opcode.results or ()
    return [each.name.lower() for each in params], [each.name.lower() for each in results]


def _instructions(part: str) -> list[tuple[str, list[str], list[str]]]:
    found = [
        (opcode.name, *_names(opcode))
        for opcode in OPCODES
        if opcode.feature in VALIDATED_FEATURES
        and (part in opcode.name if part else not opcode.immediates)
    ]
    return [row for row in found if row[1] and {*row[1], *row[2]} <= set(TYPES)]


_SCALARS: Final = {
    kind: [(name, params) for name, params, results in _instructions("") if results == [kind]]
    for kind in TYPES
}
_LOADS: Final = {
    kind: [name for name, _, _ in _instructions(".load") if name.startswith(kind)] for kind in TYPES
}
_STORES: Final = {
    kind: [name for name, _, _ in _instructions(".store") if name.startswith(kind)]
    for kind in TYPES
}
# Too often and a call ends before it has done anything.
_TRAPPING: Final = ("div_", "rem_", ".trunc_f")


class Generator:
    """Makes one module from a seed; `statements` is about how many each function has."""

    def __init__(self, seed: int, *, statements: int = 4) -> None:
        self._statements = statements
        self._chance = random.Random(seed)  # noqa: S311  (a reproducible sequence)
        # What a branch to each open block brings, the innermost last.
        self._labels: list[tuple[str, ...]] = []
        self._room = 0
        self._index = 0

    def module(self) -> str:
        """Functions f0… of (i32, i64, f32, f64) and one result each, and all that they use."""
        functions = [self._function("$several", 0, _SEVERAL)]
        functions += [
            self._function(f'$f{index} (export "f{index}")', index, (TYPES[index % 4],))
            for index in range(FUNCTIONS)
        ]
        names = " ".join(f"$f{index}" for index in range(FUNCTIONS))
        one_nan = " ".join(
            f"(func $one_nan_{kind} (param {kind}) (result {kind}) (select (local.get 0)"
            f" ({kind}.const nan) ({kind}.eq (local.get 0) (local.get 0))))"
            for kind in ("f32", "f64")
        )
        return f"""(module (memory (export "memory") 1 3)
  (table $calls 6 funcref) (elem (table $calls) (i32.const 1) func {names})
  (table $changing 4 9 funcref) (elem $spare func $f0 $f0)
  (global $fuel (mut i32) (i32.const 0)) (global $i32 (export "i32") (mut i32) (i32.const 5))
  (global $i64 (export "i64") (mut i64) (i64.const 77)) (global $f32 (export "f32") (mut f32) (f32.const -2))
  (global $f64 (export "f64") (mut f64) (f64.const 0.5))
  (data (i32.const 16) "\\01\\80\\ff\\7f interlock \\c0\\7f\\f8\\ff") (data $spare "\\80spare\\ff\\f0")
  (func (export "refuel") (global.set $fuel (i32.const 60)))
  {one_nan} {"".join(functions)})"""

    def _function(self, name: str, index: int, results: tuple[str, ...]) -> str:
        self._room, self._index, self._labels = 60, index, [results]
        body = ""
        for _ in range(self._chance.randrange(self._statements - 2, self._statements + 2)):
            # A short function may spend its room on one statement, a long one shall stay long.
            self._room = max(self._room, self._statements)
            body += self._statement(3)
        values = " ".join(self._expression(kind, 4) for kind in results)
        # Two of each type, after the parameters.
        locals_ = " ".join(f"(local {kind} {kind})" for kind in TYPES)
        return f"""
  (func {name} (param {" ".join(TYPES)}) (result {" ".join(results)}) {locals_}
    {body} {values})"""

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _local(self, kind: str) -> int:
        at = TYPES.index(kind)
        return self._chance.choice((at, 4 + 2 * at, 5 + 2 * at))

    def _address(self, depth: int) -> str:
        inner = self._expression("i32", depth - 1)
        if self._chance.random() < 0.02:
            return inner
        return f"(i32.and {inner} (i32.const 0xff8))"

    def _one_nan(self, kind: str, value: str) -> str:
        """The value, if it is no NaN: for places where its bits can be seen."""
        return f"(call $one_nan_{kind} {value})" if kind[0] == "f" else value

    def _inside(self, label: tuple[str, ...], *parts: Callable[[], str]) -> str:
        """Parts in order, within a block whose label takes these types."""
        self._labels.append(label)
        text = " ".join(part() for part in parts)
        self._labels.pop()
        return text

    def _depths(self, label: tuple[str, ...]) -> list[int]:
        """The open blocks whose label takes these types."""
        return [at for at, each in enumerate(reversed(self._labels)) if each == label]

    def _branch(self, depth: int) -> str:
        """Leave for any label; what follows cannot be reached."""
        at = self._chance.randrange(len(self._labels))
        label = self._labels[-1 - at]
        values = " ".join(self._expression(kind, depth - 1) for kind in label)
        name = "return" if at == len(self._labels) - 1 and depth % 2 else f"br {at}"
        return f"({name} {values})"

    def _arguments(self, depth: int) -> str:
        return " ".join(self._expression(kind, depth - 1) for kind in TYPES)

    # -- expressions -------------------------------------------------------------------------------------------------------

    def _expression(self, kind: str, depth: int) -> str:
        self._room -= 1
        chance = self._chance
        if depth <= 0 or self._room < 0:
            if chance.random() < 0.5:
                return f"(local.get {self._local(kind)})"
            return f"({kind}.const {chance.choice(_CONSTANTS[kind])})"
        pick = chance.randrange(18)
        if pick < 6:
            return self._scalar(kind, depth)
        if pick < 12:
            return self._structure(kind, depth, pick)
        return self._access(kind, depth, pick)

    def _scalar(self, kind: str, depth: int) -> str:
        name, params = self._chance.choice(_SCALARS[kind])
        if any(part in name for part in _TRAPPING) and self._chance.random() < 0.8:
            return self._scalar(kind, depth)
        operands = [self._expression(param, depth - 1) for param in params]
        if "copysign" in name or "reinterpret" in name:
            operands[-1] = self._one_nan(params[-1], operands[-1])
        return f"({name} {' '.join(operands)})"

    def _structure(self, kind: str, depth: int, pick: int) -> str:
        chance = self._chance
        label = (kind,)

        def part() -> str:
            return self._expression(kind, depth - 1)

        def condition() -> str:
            return self._expression("i32", depth - 1)

        def statement() -> str:
            return self._statement(depth - 1)

        if pick == 6:
            return f"(block (result {kind}) {self._inside(label, statement, part)})"
        if pick == 7:
            head = f"(if (result {kind}) {condition()}"
            return f"{head} (then {self._inside(label, part)}) (else {self._inside(label, part)}))"
        if pick == 8:
            head = f"(if (result {kind}) {condition()}"
            gone = self._inside(label, lambda: self._branch(depth), statement, part)
            return f"{head} (then {gone}) (else {self._inside(label, part)}))"
        if pick == 9 and (depths := self._depths(label)):
            return f"(br_if {chance.choice(depths)} {part()} {condition()})"
        if pick == 10:
            self._labels += [label, label]
            targets = " ".join(
                str(chance.choice(self._depths(label))) for _ in range(chance.randrange(1, 7))
            )
            inner = f"(br_table {targets} {part()} {condition()})"
            self._labels.pop()
            at = self._local(kind)
            inner = f"(local.set {at} (block (result {kind}) {inner})) {part()}"
            self._labels.pop()
            return f"(block (result {kind}) {inner})"
        if pick == 11:
            at = self._local(kind)
            # A block and in it a loop, the labels of both with the value.
            self._labels.append(label)
            first = part()
            body = self._inside(label, statement, part)
            again = self._inside(label, condition)
            self._labels.pop()
            return (
                f"(block (result {kind}) {first} (loop (param {kind}) (result {kind})"
                f" (local.set {at}) {_SPENT} (drop (br_if 1 (local.get {at}) {_IS_EMPTY}))"
                f" {body} {again} (br_if 0)))"
            )
        return f"(select {part()} {part()} {condition()})"

    def _access(self, kind: str, depth: int, pick: int) -> str:
        chance = self._chance
        if pick in {12, 13}:
            offset, name = chance.choice((0, 1, 8, 4000)), chance.choice(_LOADS[kind])
            return f"({name} offset={offset} {self._address(depth)})"
        # Only functions before this one, so that nothing recurses.
        callees = [each for each in range(self._index) if TYPES[each % 4] == kind]
        if pick == 14 and callees:
            return f"(call $f{chance.choice(callees)} {self._arguments(depth)})"
        if pick == 15 and self._index and (callees or chance.random() < 0.2):
            args = self._arguments(depth)
            # Now and then a null or a function of another type.
            slot = f"(i32.const {chance.choice((0, 1, *(1 + each for each in callees * 8)))})"
            table = "$calls"
            if kind == "i32" and chance.random() < 0.5:  # it has f0 and nulls
                slot, table = f"(i32.and {self._expression('i32', 1)} (i32.const 7))", "$changing"
            return f"(call_indirect {table} (param i32 i64 f32 f64) (result {kind}) {args} {slot})"
        if pick == 16 and kind == "i32":
            part = self._expression("i32", depth - 1)
            small = f"(i32.and {part} (i32.const 3))"
            return chance.choice(
                (
                    "(memory.size)",
                    f"(memory.grow (i32.and {part} (i32.const 1)))",
                    "(table.size $changing)",
                    f"(table.grow $changing (ref.func $f0) {small})",
                    f"(ref.is_null (table.get $changing {small}))",
                )
            )
        if pick == 17:
            return f"(global.get ${kind})"
        return f"(local.tee {self._local(kind)} {self._expression(kind, depth - 1)})"

    # -- statements --------------------------------------------------------------------------------------------------------

    def _statement(self, depth: int) -> str:
        self._room -= 1
        chance = self._chance
        kind = chance.choice(TYPES)

        def part(of: str = kind) -> str:
            return self._expression(of, depth - 1)

        def statement() -> str:
            return self._statement(depth - 1)

        def condition() -> str:
            return part("i32")

        match chance.randrange(11) if depth > 0 and self._room > 0 else 0:
            case 1:
                name, offset = chance.choice(_STORES[kind]), chance.choice((0, 2, 4090))
                address = self._address(depth)
                return f"({name} offset={offset} {address} {self._one_nan(kind, part())})"
            case 2:
                self._labels.append(())
                inner = self._inside((), statement, statement)
                again = self._inside((), condition)
                self._labels.pop()
                return f"(block (loop {_SPENT} (br_if 1 {_IS_EMPTY}) {inner} (br_if 0 {again})))"
            case 3:
                at = chance.choice([0, *(1 + depth for depth in self._depths(()))])
                leave = self._inside((), condition)
                return f"(block (br_if {at} {leave}) {self._inside((), statement)})"
            case 4:
                head = f"(if {condition()}"
                then = self._inside((), statement)
                return f"{head} (then {then}) (else {self._inside((), statement)}))"
            case 5:
                return self._switch(depth)
            case 6:
                return f"(global.set ${kind} {self._one_nan(kind, part())})"
            case 7:
                return self._bulk(depth)
            case 8:
                return f"(drop {part()})"
            case 9 if self._index:
                sets = " ".join(f"(local.set {self._local(each)})" for each in reversed(_SEVERAL))
                return f"(call $several {self._arguments(depth)}) {sets}"
            case 10:
                # A block with a parameter and two results.
                inner = self._inside((kind, "i64"), statement, lambda: part("i64"))
                sets = f"(local.set {self._local('i64')}) (local.set {self._local(kind)})"
                return f"{part()} (block (param {kind}) (result {kind} i64) {inner}) {sets}"
            case _:
                return f"(local.set {self._local(kind)} {part()})"

    def _switch(self, depth: int) -> str:
        chance = self._chance
        cases = chance.randrange(1, 6)
        self._labels += [()] * cases
        targets = " ".join(
            str(chance.choice(self._depths(()))) for _ in range(chance.randrange(1, 9))
        )
        # The innermost block ends in the branch itself.
        text = "(block " * cases + f"(br_table {targets} {self._expression('i32', depth - 1)})"
        for _ in range(cases):
            self._labels.pop()
            text += f") {self._statement(depth - 2)}"
        return text

    def _bulk(self, depth: int) -> str:
        """An instruction on ranges, mostly within bounds."""
        chance = self._chance
        first, second, third = (self._expression("i32", depth - 1) for _ in range(3))

        def masked(value: str, mask: int) -> str:
            return f"(i32.and {value} (i32.const {mask}))"

        to, source, count = masked(first, 0x7FF), masked(second, 0x7FF), masked(third, 63)
        few = f"{masked(first, 3)} {masked(second, 1)} {masked(third, 1)}"
        return chance.choice(
            (
                f"(memory.fill {to} {second} {count})",
                f"(memory.copy {to} {source} {count})",
                f"(memory.init $spare {to} {masked(second, 3)} {masked(third, 3)})",
                f"(table.set $changing {masked(first, 3)} (ref.null func))",
                f"(table.set $changing {masked(first, 3)} (ref.func $f0))",
                f"(table.copy $changing $changing {few})",
                f"(table.init $changing $spare {few})",
                f"(table.fill $changing {masked(first, 3)} (ref.null func) {masked(third, 1)})",
                "(data.drop $spare)",
                "(elem.drop $spare)",
            )
        )
