"""The binary format: malformed modules in the testsuite's words and at the right place, limits, round trips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interlock import limits
from interlock.bytecode import (
    Const,
    ExternKind,
    GlobalGet,
    InstExpr,
    MemArg,
    Module,
    RefFunc,
    RefNull,
    SegmentMode,
    ValType,
    decode,
    encode,
    validate,
)
from interlock.bytecode.leb128 import name_bytes, signed, unsigned
from interlock.errors import LimitExceededError, UnsupportedError, WasmMalformedError
from tests.unit.bytecode import oracle

if TYPE_CHECKING:
    from pathlib import Path

HEAD = b"\0asm\1\0\0\0"


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + unsigned(len(content)) + content


def module(*sections: tuple[int, bytes]) -> bytes:
    return HEAD + b"".join(section(number, content) for number, content in sections)


def one_function(body: bytes, *, local_runs: bytes = b"\0") -> bytes:
    """One type `[] -> []`, one function with this body."""
    code = local_runs + body
    return module((1, b"\1\x60\0\0"), (3, b"\1\0"), (10, b"\1" + unsigned(len(code)) + code))


# -- malformed ---------------------------------------------------------------------------------------------------------------

MALFORMED = {
    "empty": (b"", "unexpected end", 0),
    "half a magic": (b"\0as", "unexpected end", 0),
    "wrong magic": (b"\0asn\1\0\0\0", "magic header not detected", 0),
    "half a version": (b"\0asm\1\0", "unexpected end", 4),
    "wrong version": (b"\0asm\2\0\0\0", "unknown binary version", 4),
    "section id": (HEAD + b"\x0e\0", "malformed section id", 8),
    "no section size": (HEAD + b"\1", "unexpected end", 9),
    "section longer than the input": (HEAD + b"\1\5\0", "length out of bounds", 8),
    "section longer than its content": (module((1, b"\0\0")), "section size mismatch", 11),
    "section shorter than its content": (
        module((1, b"\2\x60\0\0")),
        "unexpected end",
        14,
    ),
    "sections out of order": (
        module((3, b"\0"), (1, b"\0")),
        "unexpected content after last section",
        11,
    ),
    "section twice": (
        module((1, b"\0"), (1, b"\0")),
        "unexpected content after last section",
        11,
    ),
    "integer of six bytes": (
        HEAD + b"\1" + b"\x80\x80\x80\x80\x80\0",
        "integer representation too long",
        9,
    ),
    "integer above 32 bits": (HEAD + b"\1" + b"\xff\xff\xff\xff\x1f", "integer too large", 9),
    "vector longer than the section": (
        module((1, b"\x7f")),
        "unexpected end of section or function",
        10,
    ),
    "huge vector": (module((1, b"\xff\xff\xff\xff\x0f")), "length out of bounds", 10),
    "type form": (module((1, b"\1\x40\0\0")), "malformed type form", 11),
    "value type": (module((1, b"\1\x60\1\x20\0")), "malformed value type", 13),
    "name": (module((2, b"\1\1\xff\1a\0\0")), "malformed UTF-8 encoding", 11),
    "import kind": (module((2, b"\1\1a\1b\5\0")), "malformed import kind", 15),
    "export kind": (module((7, b"\1\1a\5\0")), "malformed export kind", 13),
    "reference type": (module((4, b"\1\x7f\0\0")), "malformed reference type", 11),
    "limits flags": (module((5, b"\1\x08\0")), "malformed limits flags", 11),
    "shared table": (module((4, b"\1\x70\3\0\1")), "malformed limits flags", 12),
    "mutability": (module((6, b"\1\x7f\2\x41\0\x0b")), "malformed mutability", 12),
    "elem flags": (module((9, b"\1\x08")), "malformed elements segment kind", 11),
    "elem kind": (module((9, b"\1\1\1\0")), "malformed element kind", 12),
    "data flags": (module((11, b"\1\3")), "malformed data segment kind", 11),
    "code without function": (
        module((10, b"\1\2\0\x0b")),
        "function and code section have inconsistent lengths",
        10,
    ),
    "function without code": (
        module((1, b"\1\x60\0\0"), (3, b"\1\0")),
        "function and code section have inconsistent lengths",
        18,
    ),
    "data count": (
        module((12, b"\1")),
        "data count and data section have inconsistent lengths",
        11,
    ),
    "data count missing": (
        one_function(b"\xfc\x09\0\x0b"),
        "data count section required",
        21,
    ),
    "body without end": (one_function(b"\1\1"), "END opcode expected", 25),
    "block without end": (one_function(b"\2\x40\x0b"), "END opcode expected", 26),
    "body behind its end": (one_function(b"\x0b\x0b"), "section size mismatch", 24),
    "body longer than the section": (
        module((1, b"\1\x60\0\0"), (3, b"\1\0"), (10, b"\1\x09\0\x0b")),
        "unexpected end of section or function",
        21,
    ),
    "immediate behind the body": (
        one_function(b"\x41")[:-1] + b"\x41",
        "unexpected end",
        24,
    ),
    "opcode": (one_function(b"\xff\x0b"), "illegal opcode", 23),
    "opcode behind a prefix": (one_function(b"\xfc\x12\x0b"), "illegal opcode", 23),
    "huge opcode behind a prefix": (
        one_function(b"\xfd\xff\xff\xff\xff\x0f\x0b"),
        "illegal opcode",
        23,
    ),
    "opcode of another prefix": (one_function(b"\xfb\x81\x02\x0b"), "illegal opcode", 23),
    "i32.const": (
        one_function(b"\x41\xff\xff\xff\xff\x0f\x1a\x0b"),
        "integer too large",
        24,
    ),
    "i64.const": (
        one_function(b"\x42" + b"\x80" * 10 + b"\0\x1a\x0b"),
        "integer representation too long",
        24,
    ),
    "memarg flags": (
        one_function(b"\x41\0\x28\x80\1\0\x1a\x0b"),
        "malformed memop flags",
        26,
    ),
    "block type": (one_function(b"\2\x60\x0b\x0b"), "malformed value type", 24),
    "long block type": (one_function(b"\2\xff\x7f\x0b\x0b"), "malformed block type", 24),
    "heap type": (one_function(b"\xd0\x40\x1a\x0b"), "malformed heap type", 24),
    "too many locals": (
        one_function(b"\x0b", local_runs=b"\2\xff\xff\xff\xff\x0f\x7f\1\x7f"),
        "too many locals",
        22,
    ),
    "br_table longer than the body": (
        one_function(b"\x41\0\x0e\x7f\0\x0b"),
        "unexpected end of section or function",
        26,
    ),
    "catch clause": (one_function(b"\x1f\x40\1\4\0\x0b\x0b"), "malformed catch clause", 26),
    "br_on_cast flags": (
        one_function(b"\xfb\x18\4\0\x70\x70\x0b"),
        "malformed br_on_cast flags",
        25,
    ),
    "fence": (one_function(b"\xfe\3\1\x0b"), "zero byte expected", 25),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    data, message, offset = MALFORMED[name]
    with pytest.raises(WasmMalformedError, match=message) as caught:
        decode(data, file="x.wasm")
    span = caught.value.span
    assert span is not None
    assert (span.start, span.file) == (offset, "x.wasm")
    assert not oracle.is_valid(data)


UNSUPPORTED = {
    "garbage collection": (module((1, b"\1\x5f\0")), 11),
    "typed function references": (module((1, b"\1\x60\1\x63\x70\0")), 13),
    "memory64": (module((5, b"\1\4\0")), 11),
    "threads": (module((5, b"\1\3\0\1")), 11),
    "exception handling": (module((13, b"\1\0\0")), 10),
}


@pytest.mark.parametrize("feature", UNSUPPORTED)
def test_parts_of_3_0_that_this_version_lacks_are_named(feature: str) -> None:
    data, offset = UNSUPPORTED[feature]
    with pytest.raises(UnsupportedError) as caught:
        decode(data)
    assert caught.value.feature == feature
    assert caught.value.span is not None
    assert caught.value.span.start == offset


def test_table_with_an_initialiser_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="typed function references"):
        decode(module((4, b"\1\x40\0\x70\0\1\xd0\x70\x0b")))


@pytest.mark.parametrize(
    ("number", "content"), [(2, b"\1\1a\1b\4\0\0"), (7, b"\1\1a\4\0")], ids=["import", "export"]
)
def test_tags_are_unsupported(number: int, content: bytes) -> None:
    with pytest.raises(UnsupportedError, match="exception handling"):
        decode(module((number, content)))


@pytest.mark.parametrize("name", oracle.SEED_NAMES)
def test_every_truncation_is_a_located_error(name: str) -> None:
    data = oracle.wat2wasm(oracle.seed(name))
    complete = {8}  # a module may end between sections
    for size in range(len(data)):
        try:
            decode(data[:size])
        except WasmMalformedError as error:
            assert error.span is not None  # noqa: PT017  (one of two outcomes)
            assert error.span.start <= size  # noqa: PT017
        else:
            complete.add(size)
    assert len(complete) < 12


# -- limits ------------------------------------------------------------------------------------------------------------------


def _nested(depth: int) -> bytes:
    return one_function(b"\2\x40" * depth + b"\x0b" * (depth + 1))


def _locals(count: int) -> bytes:
    return one_function(b"\x0b", local_runs=b"\1" + unsigned(count) + b"\x7f")


def _params(count: int) -> bytes:
    return module((1, b"\1\x60" + unsigned(count) + b"\x7f" * count + b"\0"))


def _results(count: int) -> bytes:
    return module((1, b"\1\x60\0" + unsigned(count) + b"\x7f" * count))


def _br_table(count: int) -> bytes:
    return one_function(b"\x41\0\x0e" + unsigned(count) + b"\0" * (count + 1) + b"\x0b")


def _memories(count: int) -> bytes:
    return module((5, unsigned(count) + b"\0\0" * count))


def _tables(count: int) -> bytes:
    return module((4, unsigned(count) + b"\x70\0\0" * count))


def _datas(count: int) -> bytes:
    return module((11, unsigned(count) + b"\1\0" * count))


def _elems(count: int) -> bytes:
    return module((9, unsigned(count) + b"\1\0\0" * count))


def _function_bytes(count: int) -> bytes:
    return one_function(b"\1" * (count - 2) + b"\x0b")


LIMITS = {
    "WASM_NESTING_MAX": _nested,
    "WASM_LOCALS_MAX": _locals,
    "WASM_PARAMS_MAX": _params,
    "WASM_RESULTS_MAX": _results,
    "WASM_BR_TABLE_TARGETS_MAX": _br_table,
    "WASM_MEMORIES_MAX": _memories,
    "WASM_TABLES_MAX": _tables,
    "WASM_DATA_SEGMENTS_MAX": _datas,
    "WASM_ELEM_SEGMENTS_MAX": _elems,
}


@pytest.mark.parametrize("name", LIMITS)
def test_limit_and_one_past_it(name: str) -> None:
    maximum = getattr(limits, name)

    decode(LIMITS[name](maximum))

    with pytest.raises(LimitExceededError) as caught:
        decode(LIMITS[name](maximum + 1))
    assert caught.value.limit == name
    assert caught.value.value == maximum + 1
    assert caught.value.span is not None


# At their real size these take seconds and a GiB; the check is the same at a smaller one.
SCALED = {
    "WASM_TYPES_MAX": lambda count: module((1, unsigned(count) + b"\x60\0\0" * count)),
    "WASM_IMPORTS_MAX": lambda count: module((2, unsigned(count) + b"\0\0\0\0" * count)),
    "WASM_EXPORTS_MAX": lambda count: module((7, unsigned(count) + b"\0\0\0" * count)),
    "WASM_GLOBALS_MAX": lambda count: module((6, unsigned(count) + b"\x7f\0\x41\0\x0b" * count)),
    "WASM_FUNCTIONS_MAX": lambda count: module(
        (3, unsigned(count) + b"\0" * count), (10, unsigned(count) + b"\2\0\x0b" * count)
    ),
    "WASM_TABLE_ELEMENTS_MAX": lambda count: module(
        (9, b"\1\1\0" + unsigned(count) + b"\0" * count)
    ),
    "WASM_MODULE_BYTES_MAX": lambda count: module((0, b"\1c" + b"\0" * (count - 12))),
    "WASM_FUNCTION_BYTES_MAX": _function_bytes,
}


@pytest.mark.parametrize("name", SCALED)
def test_scaled_limit_and_one_past_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, name, 20)

    decode(SCALED[name](20))

    with pytest.raises(LimitExceededError) as caught:
        decode(SCALED[name](21))
    assert (caught.value.limit, caught.value.value) == (name, 21)


# -- what is decoded ---------------------------------------------------------------------------------------------------------


def test_sections_become_a_module() -> None:
    decoded = decode(oracle.wat2wasm(oracle.seed("tables")))

    assert [str(table) for table in decoded.tables] == ["10 20 funcref", "4 externref"]
    assert [elem.mode for elem in decoded.elems] == [
        SegmentMode.ACTIVE,
        SegmentMode.PASSIVE,
        SegmentMode.PASSIVE,
        SegmentMode.DECLARATIVE,
    ]
    assert decoded.elems[0].offset == Const(type=ValType.I32, bits=1)
    assert decoded.elems[2].items == (RefFunc(index=1), RefNull(type=ValType.FUNCREF))
    assert [(e.name, e.kind, e.index) for e in decoded.exports] == [
        ("t", ExternKind.TABLE, 0),
        ("call", ExternKind.FUNC, 3),
    ]
    assert decoded.function_names[0] == "add"


def test_instructions_have_opcode_immediate_and_offset() -> None:
    data = oracle.wat2wasm(
        "(module (memory 1) (func (param i32) local.get 0 i32.const -3 i32.store offset=300 align=2))"
    )
    body = decode(data).functions[0].body

    assert [(inst.opcode.name, inst.immediate) for inst in body] == [
        ("local.get", 0),
        ("i32.const", -3),
        ("i32.store", MemArg(1, 300, 0)),
        ("end", None),
    ]
    assert len(body) == 4
    assert body[2].offset == data.index(b"\x36\x01\xac\x02")


def test_wide_immediates() -> None:
    body = (
        decode(
            oracle.wat2wasm(
                "(module (func i32.const -2147483648 drop i64.const 0x7fffffffffffffff drop"
                " f32.const nan:0x1 drop f64.const -0 drop i32.const 63 drop i32.const 64 drop i32.const -64 drop))"
            )
        )
        .functions[0]
        .body
    )

    assert body.immediates[0:-1:2] == (
        *(-(1 << 31), (1 << 63) - 1, 0x7F800001, 1 << 63),
        *(63, 64, -64),
    )


def test_locals_stay_run_length() -> None:
    function = decode(one_function(b"\x0b", local_runs=b"\2\2\x7f\1\x7d")).functions[0]

    assert function.local_runs == ((2, ValType.I32), (1, ValType.F32))
    assert function.locals == (ValType.I32, ValType.I32, ValType.F32)
    assert function.local_count == 3


def test_constant_expressions_of_more_instructions_are_kept_for_validation() -> None:
    decoded = decode(module((6, b"\2\x7f\0\x23\0\x0b\x7f\0\x41\1\x41\2\x6a\x0b")))

    assert decoded.globals[0].init == GlobalGet(index=0)
    assert isinstance(decoded.globals[1].init, InstExpr)
    assert encode(decoded) == module((6, b"\2\x7f\0\x23\0\x0b\x7f\0\x41\1\x41\2\x6a\x0b"))


def test_spans_of_a_binary_module_are_offsets() -> None:
    span = decode(HEAD, file="m.wasm").span(5)

    assert str(span) == "m.wasm+0x5"


# -- names and custom sections -----------------------------------------------------------------------------------------------


def test_custom_sections_stay_where_they_were() -> None:
    custom = (0, name_bytes("a") + b"1")
    data = module(custom, (1, b"\1\x60\0\0"), (0, name_bytes("b")), custom)

    decoded = decode(data)

    assert [(item.name, item.data, item.after) for item in decoded.customs] == [
        ("a", b"1", 0),
        ("b", b"", 1),
        ("a", b"1", 1),
    ]
    assert encode(decoded) == data


@pytest.mark.parametrize(
    "tail",
    [b"\2\x05\1\0\1", b"\1\x7f", b"\1\3\1\0\5", b"\2\xff\xff\xff\xff\x7f", b"\1\4\1\0\1\xff"],
)
def test_a_malformed_name_section_is_read_as_far_as_it_goes(tail: bytes) -> None:
    names = b"\0\3\2mm" + b"\1\4\1\0\1f"

    decoded = decode(module((0, name_bytes("name") + names + tail)))

    assert decoded.name == "mm"
    assert decoded.function_names[0] == "f"
    assert encode(decoded).endswith(tail)


def test_names_of_functions_and_locals() -> None:
    decoded = decode(
        oracle.wat2wasm(
            '(module $m (import "" "" (func $i)) (func $f (param $p i32) (local $l i32)))'
        )
    )

    assert decoded.name == "m"
    assert decoded.function_names == {0: "i", 1: "f"}
    assert decoded.local_names == {1: {0: "p", 1: "l"}}


# -- round trips -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["arithmetic", "control", "memory"])
def test_encoding_what_was_decoded_gives_the_bytes(name: str) -> None:
    data = oracle.wat2wasm(oracle.seed(name))

    assert encode(decode(data)) == data


def test_a_segment_that_names_table_0_is_shortened_and_means_the_same() -> None:
    decoded = decode(oracle.wat2wasm(oracle.seed("tables")))

    assert decode(encode(decoded)) == decoded


def test_redundant_integers_are_shortened_and_mean_the_same() -> None:
    data = one_function(b"\x41\x80\x80\0\x1a\x41\xff\xff\xff\xff\x7f\x1a\x0b")

    short = encode(decode(data))

    assert len(short) < len(data)
    assert decode(short) == decode(data)


def test_segments_of_every_form_survive() -> None:
    data = oracle.wat2wasm(
        """(module (table $a 9 funcref) (table $b 9 funcref) (table $x 9 externref) (memory 1) (func $f)
        (elem (i32.const 0) $f) (elem (table $b) (i32.const 1) func $f)
        (elem (i32.const 0) funcref (ref.null func)) (elem (table $b) (i32.const 1) funcref (ref.func $f))
        (elem (table $x) (i32.const 2) externref (ref.null extern)) (elem externref) (elem func) (elem declare func $f)
        (elem declare funcref (ref.null func)) (data (i32.const 3) "x") (data "y"))"""
    )
    decoded = decode(data)

    assert decode(encode(decoded)) == decoded
    assert oracle.is_valid(encode(decoded))


def test_empty_module() -> None:
    assert decode(HEAD) == Module()
    assert encode(Module()) == HEAD


def test_quickjs_survives(quickjs_wasm: Path) -> None:
    data = quickjs_wasm.read_bytes()

    decoded = decode(data)

    assert encode(decoded) == data
    assert sum(len(function.body) for function in decoded.functions) > 200_000
    validate(decoded)


@pytest.mark.parametrize("value", [0, 63, 64, 127, 128, 1 << 31, (1 << 64) - 1])
def test_leb128(value: int) -> None:
    from interlock.bytecode.binary_reader import Reader

    assert Reader(unsigned(value)).unsigned(64) == value
    for number in (value >> 1, -(value >> 1), -(value >> 1) - 1):
        assert Reader(signed(number)).signed(64) == number
