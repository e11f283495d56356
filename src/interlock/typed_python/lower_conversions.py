"""Lower, conversions between types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.typed_python.operands import (
    OVERFLOW,
    Operands,
    constant,
    narrow,
    out_of_range,
    suffix,
)
from interlock.typed_python.scalars import BOOL, Scalar

if TYPE_CHECKING:
    from interlock.typed_python import tree
    from interlock.typed_python.body_builder import BodyBuilder


def convert(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """A number as one of another type, checked."""
    source, target = operand_type(node), node.kind
    if target.is_float:
        operands.push()
        if source.is_float:
            to.emit("f64.promote_f32" if target.bits == 64 else "f32.demote_f64")
        else:
            to.emit(f"{target.val_type}.convert_{source.val_type}_{suffix(source)}")
        return
    if source.is_float:
        operands.hold()
        _from_float(to, node, operands)
        operands.done()
    elif source is BOOL or (target.holds(source.minimum) and target.holds(source.maximum)):
        _widen(to, source, target, operands)
    else:
        operands.hold()
        _between_integers(to, node, operands)
        operands.done()


def operand_type(node: tree.Operation) -> Scalar:
    """The type of the only operand."""
    kind = node.operands[0].type
    assert kind is not None  # noqa: S101  (the checker settles operands)
    return kind


def _widen(to: BodyBuilder, source: Scalar, target: Scalar, operands: Operands) -> None:
    operands.push()
    if source.val_type is not target.val_type:
        to.emit(f"i64.extend_i32_{suffix(source)}")


def _from_float(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """The two comparisons are those of the instruction, which would trap without saying why."""
    source, target = operand_type(node), node.kind
    w = source.val_type
    operands.get(0, 0)
    to.emit(f"{w}.ne")
    to.fail_if("ValueError", "cannot convert float NaN to integer", node.place)
    # The whole part is compared: both ends are powers of two, or 0, and so are floats.
    whole = to.take(w)
    operands.get(0)
    to.emit(f"{w}.trunc")
    to.emit("local.tee", whole)
    constant(to, source, float(target.minimum))
    to.emit(f"{w}.lt")
    to.emit("local.get", whole)
    constant(to, source, float(target.maximum + 1))
    to.write(f"{w}.ge i32.or")
    to.fail_if(OVERFLOW, out_of_range(target), node.place)
    to.emit("local.get", whole)
    to.emit(f"{target.val_type}.trunc_{w}_{suffix(target)}")
    to.give(whole)


def _between_integers(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    source, target = operand_type(node), node.kind
    operands.get(0)
    if source.bits == 64 and target.bits == 32 and target.is_signed <= source.is_signed:
        narrow(to, node)
        return
    if source.bits == 64 and target.bits == 32:
        to.write(f"i64.const:{target.maximum} i64.gt_u")
    else:
        # One is signed and the other is not, in the same width or a larger one: what is negative does not fit.
        constant(to, source, 0)
        to.emit(f"{source.val_type}.lt_s")
    to.fail_if(OVERFLOW, out_of_range(target), node.place)
    operands.get(0)
    if source.bits > target.bits:
        to.emit("i32.wrap_i64")
    elif source.bits < target.bits:
        to.emit("i64.extend_i32_u")


def wrap(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """An integer modulo the width of another type."""
    source, target = operand_type(node), node.kind
    if source.bits < target.bits:
        _widen(to, source, target, operands)
        return
    operands.push()
    if source.bits > target.bits:
        to.emit("i32.wrap_i64")


def bitcast(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """The same bits as another type."""
    source, target = operand_type(node), node.kind
    operands.push()
    if source.val_type is not target.val_type:
        to.emit(f"{target.val_type}.reinterpret_{source.val_type}")
