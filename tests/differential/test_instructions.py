"""Every scalar instruction, with operands from the corners of its types, gives the bits or the trap that wasmtime gives."""

from __future__ import annotations

import struct
from itertools import product
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock.bytecode import OPCODES, VALIDATED_FEATURES, Opcode, ValType
from tests.differential.peer import Outcome, Peer, call
from tests.unit.bytecode import oracle

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -3.7, 1e-320, 1e-40, 3e38, 1e300),
    *(2147483647.0, 2147483648.0, -2147483648.0, -2147483649.0, 4294967295.0, 4294967296.0),
    *(9223372036854775807.0, -9223372036854775808.0, 18446744073709549568.0, 1.8446744073709552e19),
    *(float("inf"), float("-inf"), float("nan")),
)


def _narrow(value: float) -> int:
    """The bits of the nearest f32; infinity where there is none."""
    try:
        data = struct.pack("<f", value)
    except OverflowError:
        data = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    return int.from_bytes(data, "little", signed=True)


VALUES = {
    ValType.I32: (0, 1, -1, 2, 3, 7, 31, 32, 33, 255, -128, 65535, 2**31 - 1, -(2**31), 0x55AA),
    ValType.I64: (0, 1, -1, 5, 63, 64, 65, 2**31, -(2**31), 2**32, 2**63 - 1, -(2**63), -77777),
    ValType.F32: (*{_narrow(value) for value in _FLOATS}, 0x7FA00000, 0x7F800001, -0x400000),
    ValType.F64: (
        *(struct.unpack("<q", struct.pack("<d", value))[0] for value in _FLOATS),
        *(0x7FF4000000000000, 0x7FF0000000000001, -0x8000000000000),
    ),
}
_CARRIERS = {
    ValType.I32: ("i32", "{}", "{}"),
    ValType.I64: ("i64", "{}", "{}"),
    # Bits, since Python's floats do not keep those of every NaN.
    ValType.F32: ("i32", "(f32.reinterpret_i32 {})", "(i32.reinterpret_f32 {})"),
    ValType.F64: ("i64", "(f64.reinterpret_i64 {})", "(i64.reinterpret_f64 {})"),
}
# Only these say which NaN results.
_EXACT = ("neg", "abs", "copysign", "reinterpret")
_NAN = {
    ValType.F32: (0x7F800000, 0x400000, 0xFFFFFFFF),
    ValType.F64: (0x7FF0000000000000, 0x8000000000000, 0xFFFFFFFFFFFFFFFF),
}


def _scalars() -> Iterator[Opcode]:
    for opcode in OPCODES:
        if opcode.feature not in VALIDATED_FEATURES or opcode.immediates or not opcode.params:
            continue
        if opcode.results and all(kind in VALUES for kind in opcode.params):
            yield opcode


SCALARS = tuple(_scalars())


def _function(opcode: Opcode) -> str:
    assert opcode.params
    assert opcode.results
    carriers = [_CARRIERS[kind] for kind in opcode.params]
    operands = " ".join(
        into.format(f"(local.get {at})") for at, (_, into, _) in enumerate(carriers)
    )
    result, _, out_of = _CARRIERS[opcode.results[0]]
    params = " ".join(carrier for carrier, _, _ in carriers)
    body = out_of.format(f"({opcode.name} {operands})")
    return f'(func (export "{opcode.name}") (param {params}) (result {result}) {body})'


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[interlock.Instance, Peer]]:
    text = f"(module {' '.join(map(_function, SCALARS))})"
    with interlock.Engine() as engine:
        yield engine.instantiate(engine.compile_wat(text)), Peer(oracle.wat2wasm(text))


def _is_nan(kind: ValType, outcome: Outcome, *, must_be_quiet: bool) -> bool:
    if outcome.trap or kind not in _NAN or not isinstance(outcome.value, int):
        return False
    infinity, quiet, mask = _NAN[kind]
    bits = outcome.value & mask
    is_nan = bits & infinity == infinity and bits & (infinity ^ mask) & (mask >> 1) != 0
    return is_nan and (not must_be_quiet or bits & quiet != 0)


def test_all_scalar_instructions_are_here() -> None:
    in_one_byte, sign_extensions, saturating = 0xBF - 0x45 + 1, 5, 8
    assert len(SCALARS) == in_one_byte + sign_extensions + saturating


@pytest.mark.parametrize("opcode", SCALARS, ids=str)
def test_instruction_gives_what_wasmtime_gives(
    both: tuple[interlock.Instance, Peer], opcode: Opcode
) -> None:
    ours, theirs = both
    assert opcode.params
    assert opcode.results
    is_exact = any(word in opcode.name for word in _EXACT)
    for operands in product(*(VALUES[kind] for kind in opcode.params)):
        mine = call(ours, opcode.name, *operands)
        expected = theirs.call(opcode.name, *operands)
        if mine == expected:
            continue
        kind = opcode.results[0]
        assert not is_exact, (opcode.name, operands, mine, expected)
        assert _is_nan(kind, mine, must_be_quiet=True), (opcode.name, operands, mine, expected)
        assert _is_nan(kind, expected, must_be_quiet=False), (opcode.name, operands, mine, expected)


NEUTRAL = ("0", "-0", "1", "-1", "2")
# Where a constant comes from: statements before, and the operand.  LLVM finds out what it is in every case.
SOURCES = {
    "literal": ("", "{number}"),
    "local": ("(local.set 1 {number})", "(local.get 1)"),
    "conversion": ("", "({kind}.reinterpret_{carrier} ({carrier}.reinterpret_{kind} {number}))"),
    "choice": ("", "(select {number} {number} (local.get 2))"),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_operations_with_neutral_constants_are_not_dropped(kind: str, source: str) -> None:
    """X + 0, x * 1 and their like make a signalling NaN quiet, so they are no identities."""
    carrier = kind.replace("f", "i")
    operand = f"({kind}.reinterpret_{carrier} (local.get 0))"
    functions, names = [], []
    for operation, constant in product(("add", "sub", "mul", "div", "min", "max"), NEUTRAL):
        words = {"number": f"({kind}.const {constant})", "kind": kind, "carrier": carrier}
        before, number = (part.format(**words) for part in SOURCES[source])
        for side, operands in (("l", f"{number} {operand}"), ("r", f"{operand} {number}")):
            names.append(f"{operation}{constant}{side}")
            functions.append(
                f'(func (export "{names[-1]}") (param {carrier}) (result {carrier})'
                f" (local {kind} i32) {before}"
                f" ({carrier}.reinterpret_{kind} ({kind}.{operation} {operands})))"
            )
    _compare_quieting(kind, functions, names)


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_the_zero_of_a_new_local_is_a_neutral_constant_too(kind: str) -> None:
    carrier = kind.replace("f", "i")
    operand = f"({kind}.reinterpret_{carrier} (local.get 0))"
    functions = [
        f'(func (export "{operation}") (param {carrier}) (result {carrier}) (local {kind})'
        f" ({carrier}.reinterpret_{kind} ({kind}.{operation} {operand} (local.get 1))))"
        for operation in ("add", "sub", "max")
    ]
    _compare_quieting(kind, functions, ["add", "sub", "max"])


def _compare_quieting(kind: str, functions: list[str], names: list[str]) -> None:
    """Functions of one number by its bits: the same result as wasmtime's, or a quiet NaN in both."""
    text = f"(module {' '.join(functions)})"
    theirs = Peer(oracle.wat2wasm(text))
    value_type = ValType[kind.upper()]
    with interlock.Engine() as engine:
        ours = engine.instantiate(engine.compile_wat(text))
        for name, value in product(names, VALUES[value_type]):
            mine, expected = call(ours, name, value), theirs.call(name, value)
            assert mine == expected or (
                _is_nan(value_type, mine, must_be_quiet=True)
                and _is_nan(value_type, expected, must_be_quiet=True)
            ), (name, value, mine, expected)
