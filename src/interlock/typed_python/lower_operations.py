"""Lower, the operations: an entry for each of `operations.REFERENCES`, which says what it must give.

Operands are on the stack, in order.  An operation that needs them more than once moves them to locals first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.bytecode import ValType
from interlock.typed_python import lower_conversions, tree
from interlock.typed_python.operands import (
    OVERFLOW,
    Lowering,
    Operands,
    constant,
    narrow,
    out_of_range,
    suffix,
)

if TYPE_CHECKING:
    from interlock.typed_python.body_builder import BodyBuilder
    from interlock.typed_python.scalars import Scalar

ZERO_DIVISION: Final = "ZeroDivisionError"
_I32: Final = ValType.I32
_I64: Final = ValType.I64


def _plain(instruction: str) -> Lowering:
    """One instruction."""

    def lower(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
        operands.push()
        to.emit(f"{node.kind.val_type}.{instruction}")

    return lower


def _additive(name: str) -> Lowering:
    """Addition, subtraction, multiplication."""

    def lower(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
        if node.kind.is_float:
            operands.push()
            to.emit(f"{node.kind.val_type}.{name}")
            return
        operands.hold()
        if node.kind.bits == 32:
            _through_64_bits(to, node, operands, name)
        else:
            _WIDE[name](to, node, operands)
        operands.done()

    return lower


def _through_64_bits(to: BodyBuilder, node: tree.Operation, operands: Operands, name: str) -> None:
    """32-bit operands: 64 bits hold the exact result, which is looked at and cut."""
    extend = f"i64.extend_i32_{suffix(node.kind)}"
    for index in range(2):
        operands.get(index)
        to.emit(extend)
    to.emit(f"i64.{name}")
    narrow(to, node)


def _add_64(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    result = to.take(_I64)
    operands.get(0, 1)
    to.emit("i64.add")
    to.emit("local.tee", result)
    constants = [operands.constant(0), operands.constant(1)]
    if not node.kind.is_signed or constants != [None, None]:
        # Adding something that is not negative: smaller means that it has wrapped.
        other = 1 if constants[0] is not None else 0
        operands.get(other)
        to.emit("i64.gt_s" if (constants[1 - other] or 0) < 0 else f"i64.lt_{suffix(node.kind)}")
    else:
        _differs_from_both(to, operands, result)
    to.fail_if(OVERFLOW, out_of_range(node.kind), node.place)
    to.emit("local.get", result)
    to.give(result)


def _differs_from_both(to: BodyBuilder, operands: Operands, result: int) -> None:
    """A sum is wrong when its sign, which is on the stack, differs from those of both operands."""
    operands.get(0)
    to.emit("i64.xor")
    to.emit("local.get", result)
    operands.get(1)
    to.write("i64.xor i64.and i64.const:0 i64.lt_s")


def _sub_64(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    result = to.take(_I64)
    operands.get(0, 1)
    to.emit("i64.sub")
    to.emit("local.set", result)
    subtrahend = operands.constant(1)
    if not node.kind.is_signed:
        operands.get(0, 1)
        to.emit("i64.lt_u")
    elif subtrahend is not None:
        to.emit("local.get", result)
        operands.get(0)
        to.emit("i64.lt_s" if subtrahend < 0 else "i64.gt_s")
    else:
        operands.get(0, 1)
        to.emit("i64.xor")
        operands.get(0)
        to.emit("local.get", result)
        to.write("i64.xor i64.and i64.const:0 i64.lt_s")
    to.fail_if(OVERFLOW, out_of_range(node.kind), node.place)
    to.emit("local.get", result)
    to.give(result)


def _mul_64(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """The product divided by one operand is the other, or it has wrapped: LLVM makes a flag of the multiplication of it."""
    result = to.take(_I64)
    constants = [operands.constant(0), operands.constant(1)]
    divisor = 0 if constants[0] is not None else 1
    operands.get(0, 1)
    to.emit("i64.mul")
    to.emit("local.set", result)
    if constants[divisor] not in {0, -1}:
        is_tested = constants[divisor] is None
        if is_tested:
            _open_division(to, node, operands, divisor)
        to.emit("local.get", result)
        operands.get(divisor)
        to.emit(f"i64.div_{suffix(node.kind)}")
        operands.get(1 - divisor)
        to.emit("i64.ne")
        if is_tested:
            _close_division(to, node, operands, divisor)
        to.fail_if(OVERFLOW, out_of_range(node.kind), node.place)
    elif constants[divisor] == -1:
        operands.get(1 - divisor)
        to.emit("i64.const", -1 << 63)
        to.emit("i64.eq")
        to.fail_if(OVERFLOW, out_of_range(node.kind), node.place)
    to.emit("local.get", result)
    to.give(result)


def _open_division(to: BodyBuilder, node: tree.Operation, operands: Operands, divisor: int) -> None:
    """Divisors that cannot be divided by are kept out: 0, and -1 of signed ones."""
    operands.get(divisor)
    if node.kind.is_signed:
        to.write("i64.const:1 i64.add i64.const:1 i64.gt_u")
    else:
        to.write("i64.const:0 i64.ne")
    to.open("if", _I32)


def _close_division(
    to: BodyBuilder, node: tree.Operation, operands: Operands, divisor: int
) -> None:
    to.emit("else")
    if node.kind.is_signed:  # 0 times anything is right, and -1 times anything but the smallest
        operands.get(divisor)
        to.write("i64.const:0 i64.lt_s")
        operands.get(1 - divisor)
        to.emit("i64.const", -1 << 63)
        to.write("i64.eq i32.and")
    else:
        to.emit("i32.const", 0)
    to.close()


_WIDE: Final = {"add": _add_64, "sub": _sub_64, "mul": _mul_64}


def _check_divisor(to: BodyBuilder, node: tree.Operation, operands: Operands, message: str) -> None:
    if operands.constant(1):
        return
    operands.get(1)
    if node.kind.is_float:
        constant(to, node.kind, 0.0)
        to.emit(f"{node.kind.val_type}.eq")
    else:
        to.emit(f"{node.kind.val_type}.eqz")
    to.fail_if(ZERO_DIVISION, message, node.place)


def _truediv(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    operands.hold()
    _check_divisor(to, node, operands, "division by zero")
    operands.get(0, 1)
    to.emit(f"{node.kind.val_type}.div")
    operands.done()


def _floordiv(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """The quotient is cut towards zero by the instruction, and towards minus infinity by Python."""
    kind = node.kind
    operands.hold()
    w, divisor = kind.val_type, operands.constant(1)
    _check_divisor(to, node, operands, "integer division or modulo by zero")
    if not kind.is_signed:
        operands.get(0, 1)
        to.emit(f"{w}.div_u")
        operands.done()
        return
    if divisor in {None, -1}:
        operands.get(0)
        constant(to, kind, kind.minimum)
        to.emit(f"{w}.eq")
        operands.get(1)
        constant(to, kind, -1)
        to.write(f"{w}.eq i32.and")
        to.fail_if(OVERFLOW, out_of_range(kind), node.place)
    remainder = to.take(w)
    operands.get(0, 1)
    to.emit(f"{w}.div_s")
    operands.get(0, 1)
    to.emit(f"{w}.rem_s")
    to.emit("local.tee", remainder)
    _has_other_sign(to, kind, operands, remainder)
    if kind.bits == 64:
        to.emit("i64.extend_i32_u")
    to.emit(f"{w}.sub")
    to.give(remainder)
    operands.done()


def _has_other_sign(to: BodyBuilder, kind: Scalar, operands: Operands, remainder: int) -> None:
    """Whether a remainder, which is on the stack, is not zero and has not the sign of the divisor."""
    w = kind.val_type
    operands.get(1)
    to.emit(f"{w}.xor")
    constant(to, kind, 0)
    to.emit(f"{w}.lt_s")
    to.emit("local.get", remainder)
    constant(to, kind, 0)
    to.write(f"{w}.ne i32.and")


def _mod(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """The remainder has the sign of the divisor."""
    kind = node.kind
    operands.hold()
    w = kind.val_type
    _check_divisor(to, node, operands, "integer division or modulo by zero")
    operands.get(0, 1)
    if not kind.is_signed:
        to.emit(f"{w}.rem_u")
        operands.done()
        return
    remainder = to.take(w)
    to.emit(f"{w}.rem_s")
    to.emit("local.tee", remainder)
    operands.get(1)
    constant(to, kind, 0)
    to.emit("local.get", remainder)
    _has_other_sign(to, kind, operands, remainder)
    to.write(f"select {w}.add")
    to.give(remainder)
    operands.done()


def _pow(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """Repeated squaring, in the order of `operations.power`."""
    kind, exponent = node.kind, node.operands[1]
    assert isinstance(exponent, tree.Const)  # noqa: S101  (the checker demands it)
    remaining = int(exponent.value)
    base, result, is_begun = to.take(kind.val_type), to.take(kind.val_type), False
    operands.hold()
    operands.get(0)
    to.emit("local.set", base)
    if remaining == 0:
        constant(to, kind, 1)
        to.emit("local.set", result)
    while remaining:
        if remaining & 1:
            _product(to, node, (result, base) if is_begun else (base,))
            to.emit("local.set", result)
            is_begun = True
        remaining >>= 1
        if remaining:
            _product(to, node, (base, base))
            to.emit("local.set", base)
    to.emit("local.get", result)
    to.give(base, result)
    operands.done()


def _product(to: BodyBuilder, node: tree.Operation, factors: tuple[int, ...]) -> None:
    """The product of one or two locals, checked like any other."""
    if len(factors) == 1:
        to.emit("local.get", factors[0])
        return
    names = {str(local): local for local in factors}
    nodes = tuple(
        tree.Get(variable=tree.Variable(name=str(local), type=node.kind)) for local in factors
    )
    push = lambda each: to.emit("local.get", names[each.variable.name])  # noqa: E731
    OPERATIONS["mul"](to, node, Operands(to, nodes, push))


def _shift_count(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """Raise for a negative count."""
    if node.kind.is_signed and (operands.constant(1) or -1) < 0:
        operands.get(1)
        constant(to, node.kind, 0)
        to.emit(f"{node.kind.val_type}.lt_s")
        to.fail_if("ValueError", "negative shift count", node.place)


def _lshift(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    kind = node.kind
    operands.hold()
    w, count = kind.val_type, operands.constant(1)
    _shift_count(to, node, operands)
    if count is None or count >= kind.bits:
        operands.get(1)
        constant(to, kind, kind.bits)
        to.emit(f"{w}.ge_u")
        to.fail_if(OVERFLOW, f"{kind} has no bit of this number", node.place)
    result = to.take(w)
    operands.get(0, 1)
    to.emit(f"{w}.shl")
    to.emit("local.tee", result)
    operands.get(1)
    to.emit(f"{w}.shr_{suffix(kind)}")
    operands.get(0)
    to.emit(f"{w}.ne")
    to.fail_if(OVERFLOW, out_of_range(kind), node.place)
    to.emit("local.get", result)
    to.give(result)
    operands.done()


def _rshift(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    """A count that is not below the width leaves the sign, or nothing."""
    kind = node.kind
    operands.hold()
    w, count = kind.val_type, operands.constant(1)
    _shift_count(to, node, operands)
    operands.get(0)
    if count is not None and count < kind.bits:
        operands.get(1)
        to.emit(f"{w}.shr_{suffix(kind)}")
    elif kind.is_signed:
        constant(to, kind, kind.bits - 1)
        operands.get(1)
        operands.get(1)
        constant(to, kind, kind.bits - 1)
        to.write(f"{w}.gt_u select {w}.shr_s")
    else:
        operands.get(1)
        to.emit(f"{w}.shr_u")
        constant(to, kind, 0)
        operands.get(1)
        constant(to, kind, kind.bits)
        to.write(f"{w}.lt_u select")
    operands.done()


def _neg(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    kind = node.kind
    if kind.is_float:
        operands.push()
        to.emit(f"{kind.val_type}.neg")
        return
    operands.hold()
    _negated(to, node, operands)
    operands.done()


def _negated(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    kind = node.kind
    operands.get(0)
    constant(to, kind, kind.minimum)
    # Of signed types the smallest has no negation, of unsigned ones only 0 has one.
    to.emit(f"{kind.val_type}.{'eq' if kind.is_signed else 'ne'}")
    to.fail_if(OVERFLOW, out_of_range(kind), node.place)
    _wrapping_neg(to, node, operands)


def _wrapping_neg(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    constant(to, node.kind, 0)
    operands.get(0)
    to.emit(f"{node.kind.val_type}.sub")


def _plain_neg(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    operands.hold()
    _wrapping_neg(to, node, operands)
    operands.done()


def _invert(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    operands.push()
    constant(to, node.kind, -1)
    to.emit(f"{node.kind.val_type}.xor")


def _abs(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    kind = node.kind
    if kind.is_float or not kind.is_signed:
        operands.push()
        if kind.is_float:
            to.emit(f"{kind.val_type}.abs")
        return
    operands.hold()
    _negated(to, node, operands)
    operands.get(0)
    operands.get(0)
    constant(to, kind, 0)
    to.write(f"{kind.val_type}.lt_s select")
    operands.done()


def _extremum(comparison: str) -> Lowering:
    """As Python's: the second operand if it compares so with the first, else the first."""

    def lower(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
        operands.hold()
        operands.get(1, 0, 1, 0)
        to.emit(compare(node.kind, comparison))
        to.emit("select")
        operands.done()

    return lower


def compare(kind: Scalar, name: str) -> str:
    """The instruction that compares two values of a type."""
    is_plain = kind.is_float or name in {"eq", "ne"}
    return f"{kind.val_type}.{name}" if is_plain else f"{kind.val_type}.{name}_{suffix(kind)}"


def _checked_sqrt(to: BodyBuilder, node: tree.Operation, operands: Operands) -> None:
    operands.hold()
    operands.get(0)
    constant(to, node.kind, 0.0)
    to.emit(f"{node.kind.val_type}.lt")
    to.fail_if("ValueError", "expected a nonnegative input", node.place)
    operands.get(0)
    to.emit(f"{node.kind.val_type}.sqrt")
    operands.done()


OPERATIONS: Final[dict[str, Lowering]] = {
    "add": _additive("add"),
    "sub": _additive("sub"),
    "mul": _additive("mul"),
    "truediv": _truediv,
    "floordiv": _floordiv,
    "mod": _mod,
    "pow": _pow,
    "lshift": _lshift,
    "rshift": _rshift,
    "and": _plain("and"),
    "or": _plain("or"),
    "xor": _plain("xor"),
    "neg": _neg,
    "invert": _invert,
    "abs": _abs,
    "min": _extremum("lt"),
    "max": _extremum("gt"),
    "convert": lower_conversions.convert,
    "math.sqrt": _checked_sqrt,
    "wrapping_add": _plain("add"),
    "wrapping_sub": _plain("sub"),
    "wrapping_mul": _plain("mul"),
    "wrapping_neg": _plain_neg,
    "wrapping_shl": _plain("shl"),
    "wrap": lower_conversions.wrap,
    "bitcast": lower_conversions.bitcast,
    "clz": _plain("clz"),
    "ctz": _plain("ctz"),
    "popcnt": _plain("popcnt"),
    "rotl": _plain("rotl"),
    "rotr": _plain("rotr"),
    "sqrt": _plain("sqrt"),
    "ieee_div": _plain("div"),
    "floor": _plain("floor"),
    "ceil": _plain("ceil"),
    "trunc": _plain("trunc"),
    "nearest": _plain("nearest"),
    "copysign": _plain("copysign"),
    "fabs": _plain("abs"),
}
"""By name."""
