"""The opcode table: every row against wasmtime's encoder, and the page made from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.bytecode import (
    BY_CODE,
    BY_NAME,
    OPCODES,
    Feature,
    Imm,
    Module,
    Opcode,
    ValType,
    code_of,
    opcode_of,
)
from interlock.bytecode.binary_body import read_body
from interlock.bytecode.binary_encoder import encode_body
from interlock.bytecode.binary_reader import Reader
from interlock.bytecode.leb128 import unsigned
from interlock.bytecode.text_printer import _Printer
from interlock.errors import InternalError
from tests.unit.bytecode import oracle
from tools import generate_opcode_docs

_TEXT = {
    Imm.BLOCK_TYPE: "",
    Imm.LABEL: "0",
    Imm.LABELS: "0 0",
    Imm.FUNC: "0",
    Imm.TYPE: "1",
    Imm.TABLE: "0",
    Imm.LOCAL: "0",
    Imm.GLOBAL: "0",
    Imm.MEMORY: "0",
    Imm.DATA: "0",
    Imm.ELEM: "0",
    Imm.TAG: "0",
    Imm.FIELD: "0",
    Imm.COUNT: "1",
    Imm.MEMARG: "",
    Imm.LANE: "1",
    Imm.LANES: " ".join(map(str, range(16))),
    Imm.I32: "1",
    Imm.I64: "1",
    Imm.F32: "1",
    Imm.F64: "1",
    Imm.V128: "i64x2 1 1",
    Imm.VAL_TYPES: "(result i32)",
    Imm.HEAP_TYPE: "func",
    Imm.CATCHES: "(catch_all 0)",
}
_SPECIAL = {
    "call_indirect": "call_indirect (type 0)",
    "return_call_indirect": "return_call_indirect (type 0)",
    "ref.test": "ref.test (ref func)",
    "ref.test null": "ref.test (ref null func)",
    "ref.cast": "ref.cast (ref func)",
    "ref.cast null": "ref.cast (ref null func)",
    "br_on_cast": "br_on_cast 0 (ref null any) (ref null eq)",
    "br_on_cast_fail": "br_on_cast_fail 0 (ref null any) (ref null eq)",
    "atomic.fence": "atomic.fence",
}
_CLOSED_BY_END = {"block", "loop", "if", "try_table"}
# A body of `nop`s before the instruction makes its place in the bytes certain.
_MARK = b"\x01" * 9


def _text(opcode: Opcode) -> str:
    text = _SPECIAL.get(opcode.name)
    if text is None:
        words = [_TEXT[kind] for kind in opcode.immediates]
        text = " ".join([opcode.name.split(" ")[0], *words])
    return f"{text} end" if opcode.name in _CLOSED_BY_END else text


def _assemble(body: str) -> bytes:
    """A module with something of every kind, and this body in its last function."""
    return oracle.wat2wasm(
        "(module (type (func)) (type (struct (field i8))) (func) (table 1 funcref) (memory 1)"
        " (global (mut i32) (i32.const 0)) (tag) (elem func) (data)"
        f" (func (local i32) {body}))"
    )


def _marked_body(opcode: Opcode) -> str:
    if opcode.name == "else":
        return f"if {'nop ' * 9} else end"
    if opcode.name == "end":
        return f"block {'nop ' * 9} end"
    return f"{'nop ' * 9} {_text(opcode)}"


def _body_bytes(data: bytes) -> bytes:
    """The instructions of the last function: its size is one byte, its locals are `01 01 7f`."""
    locals_at = data.rindex(b"\x01\x01\x7f", 0, data.index(_MARK))
    return data[locals_at + 3 : locals_at + data[locals_at - 1]]


@pytest.mark.parametrize("opcode", OPCODES, ids=str)
def test_row_has_the_number_that_wasmtime_encodes(opcode: Opcode) -> None:
    data = _assemble(_marked_body(opcode))
    at = data.index(_MARK) + len(_MARK)

    head = bytes([opcode.prefix]) if opcode.prefix else b""

    assert data[at:].startswith(head + (unsigned if opcode.prefix else _byte)(opcode.subcode))


def _byte(value: int) -> bytes:
    return bytes([value])


@pytest.mark.parametrize("opcode", OPCODES, ids=str)
def test_instruction_decodes_encodes_and_prints_as_wasmtime_has_it(opcode: Opcode) -> None:
    data = _assemble(_marked_body(opcode))
    encoded = _body_bytes(data)

    body = read_body(Reader(encoded), len(encoded))

    assert opcode.code in body.codes
    assert encode_body(body) == encoded
    printer = _Printer(Module())
    texts = [
        printer._instruction(code, value)
        for code, value in zip(body.codes, body.immediates, strict=True)
    ]
    assert _assemble("\n".join(texts[:-1])) == data


def test_every_feature_has_the_number_of_instructions_of_the_standard() -> None:
    counts = {feature: sum(op.feature is feature for op in OPCODES) for feature in Feature}

    assert {feature.name: count for feature, count in counts.items() if count} == {
        "CORE": 172,
        "SIGN_EXTENSION": 5,
        "SATURATING_CONVERSION": 8,
        "BULK_MEMORY": 7,
        "REFERENCE_TYPES": 9,
        "TAIL_CALL": 2,
        "EXCEPTION_HANDLING": 3,
        "FUNCTION_REFERENCES": 5,
        "GC": 32,
        "SIMD": 236,
        "RELAXED_SIMD": 20,
        "THREADS": 67,
    }


def test_lookups_agree() -> None:
    for opcode in OPCODES:
        assert BY_NAME[opcode.name] is opcode
        assert BY_CODE[opcode.code] is opcode
        assert opcode_of(code_of(opcode.name)) is opcode


def test_a_code_without_a_row_is_an_internal_error() -> None:
    with pytest.raises(InternalError, match="no opcode"):
        opcode_of(0xFF)


def test_natural_alignment_is_the_access() -> None:
    assert BY_NAME["i64.load16_u"].access_bytes == 2
    assert BY_NAME["f64.store"].access_bytes == 8
    assert BY_NAME["v128.load"].access_bytes == 16
    assert BY_NAME["i32.add"].access_bytes == 0
    assert BY_NAME["f64.store"].params == (ValType.I32, ValType.F64)


def test_page_equals_the_table() -> None:
    page = Path(generate_opcode_docs.PAGE).read_text(encoding="utf-8")

    assert page == generate_opcode_docs.page(), "run python tools/generate_opcode_docs.py"
