"""Lower, what operations share: their operands on the stack or held in locals, constants, and the check of a range."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from interlock.bytecode import ValType
from interlock.typed_python import tree
from interlock.typed_python.scalars import BOOL, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.typed_python.body_builder import BodyBuilder

OVERFLOW: Final = "OverflowError"


def constant(to: BodyBuilder, kind: Scalar, value: float) -> None:
    """Push a number."""
    if kind.is_float:
        layout = "<f" if kind.bits == 32 else "<d"
        to.emit(f"{kind.val_type}.const", int.from_bytes(struct.pack(layout, value), "little"))
    else:
        bits = 32 if kind is BOOL else kind.bits
        number = int(value)
        to.emit(
            f"{kind.val_type}.const", number - (1 << bits) if number >> (bits - 1) == 1 else number
        )


def out_of_range(kind: Scalar) -> str:
    """The message of an overflow."""
    return f"the result does not fit {kind}"


class Operands:
    """The operands of one operation: written in order on the stack, or held where they can be had again and again."""

    def __init__(
        self,
        to: BodyBuilder,
        nodes: tuple[tree.Expr, ...],
        push: Callable[[tree.Expr], None],
    ) -> None:
        self._to = to
        self._nodes = nodes
        self._push = push
        self._locals: dict[int, int] = {}

    def push(self) -> None:
        """Write all of them."""
        for node in self._nodes:
            self._push(node)

    def hold(self) -> None:
        """Compute them, for `get`; constants and variables stay what they are, since no expression changes a variable."""
        for index, node in enumerate(self._nodes):
            if isinstance(node, tree.Const | tree.Get) or node.type is None:
                continue
            self._push(node)
            local = self._locals[index] = self._to.take(node.type.val_type)
            self._to.emit("local.set", local)

    def get(self, *indices: int) -> None:
        """Push operands that are held."""
        for index in indices:
            if index in self._locals:
                self._to.emit("local.get", self._locals[index])
            else:
                self._push(self._nodes[index])

    def constant(self, index: int) -> int | float | None:
        """The value of an operand that is constant."""
        node = self._nodes[index]
        return node.value if isinstance(node, tree.Const) else None

    def done(self) -> None:
        """Give back what held them."""
        self._to.give(*self._locals.values())


Lowering: TypeAlias = "Callable[[BodyBuilder, tree.Operation, Operands], None]"


def suffix(kind: Scalar) -> str:
    """How instructions name the sign."""
    return "s" if kind.is_signed else "u"


def narrow(to: BodyBuilder, node: tree.Operation) -> None:
    """An i64 with an exact result, as a 32-bit integer."""
    exact = to.take(ValType.I64)
    to.emit("local.tee", exact)
    if node.kind.is_signed:
        # One unsigned comparison for both ends: LLVM knows it as the overflow flag.
        to.emit("i64.const", 1 << 31)
        to.emit("i64.add")
    to.write("i64.const:4294967295 i64.gt_u")
    to.fail_if(OVERFLOW, out_of_range(node.kind), node.place)
    to.emit("local.get", exact)
    to.emit("i32.wrap_i64")
    to.give(exact)
