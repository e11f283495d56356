"""Properties of the byte-code package: round trips, and agreement with wasmtime on generated bodies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlock.bytecode import (
    BY_NAME,
    OPCODES,
    VALIDATED_FEATURES,
    Body,
    Const,
    Data,
    Elem,
    Function,
    FuncType,
    Global,
    GlobalType,
    Imm,
    Limits,
    MemArg,
    MemoryType,
    Module,
    Opcode,
    RefFunc,
    SegmentMode,
    TableType,
    ValType,
    code_of,
    decode,
    encode,
    parse_wat,
    to_wat,
)
from interlock.bytecode.binary_reader import Reader
from interlock.bytecode.leb128 import signed, unsigned
from interlock.bytecode.text_numbers import F32, F64, float_text, parse_integer
from tests.unit.bytecode import oracle

I32, I64, F32_TYPE, FUNCREF, EXTERNREF = (
    ValType.I32,
    ValType.I64,
    ValType.F32,
    ValType.FUNCREF,
    ValType.EXTERNREF,
)
TYPES = (
    FuncType((), ()),
    FuncType((I32,), (I32,)),
    FuncType((I32, I32), (I32,)),
    FuncType((), (I32, I32)),
    FuncType((I32,), (I32, I64)),
    FuncType((I64,), (F32_TYPE,)),
)
LOCALS = ((2, I32), (1, I64), (1, ValType.F64), (1, FUNCREF), (1, EXTERNREF))
END = code_of("end")
_FREQUENT = (
    *("block", "loop", "if", "else", "end", "end", "br", "br_if", "br_table", "return", "drop"),
    *("unreachable", "unreachable", "local.get", "local.get", "local.set", "local.tee", "select"),
    *("i32.const", "i32.const", "i64.const", "call", "select t", "global.get", "i32.add"),
)
_ANY = [opcode for opcode in OPCODES if opcode.feature in VALIDATED_FEATURES]
_small = st.integers(0, 6)
_IMMEDIATES: dict[Imm, st.SearchStrategy[object]] = {
    **dict.fromkeys(Imm, st.integers(0, 2)),
    Imm.BLOCK_TYPE: st.sampled_from([None, None, I32, ValType.F64, 0, 1, 2, 3, 4, 5]),
    Imm.LABELS: st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple),
    Imm.LOCAL: _small,
    Imm.MEMORY: st.just(0),
    Imm.MEMARG: st.builds(
        MemArg,
        st.integers(0, 4),
        st.sampled_from([0, 200, 0xFFFFFFFF]),
        st.just(0),
        st.just(value=False),  # what no binary or text says
    ),
    Imm.VAL_TYPES: st.lists(st.sampled_from([I32, FUNCREF]), min_size=1, max_size=2).map(tuple),
    Imm.HEAP_TYPE: st.sampled_from([FUNCREF, EXTERNREF]),
    Imm.I32: st.integers(-(1 << 31), (1 << 31) - 1),
    Imm.I64: st.integers(-(1 << 63), (1 << 63) - 1),
    Imm.F32: st.integers(0, (1 << 32) - 1),
    Imm.F64: st.integers(0, (1 << 64) - 1),
}


@st.composite
def instructions(draw: st.DrawFn) -> tuple[int, object]:
    frequent = draw(st.booleans())
    opcode: Opcode = (
        BY_NAME[draw(st.sampled_from(_FREQUENT))] if frequent else draw(st.sampled_from(_ANY))
    )
    values = tuple(draw(_IMMEDIATES[kind]) for kind in opcode.immediates)
    return opcode.code, values[0] if len(values) == 1 else values or None


@st.composite
def modules(draw: st.DrawFn) -> Module:
    """A module around one generated body; it decodes, and may be invalid."""
    pairs = draw(st.lists(instructions(), max_size=12))
    if draw(st.booleans()):
        pairs.insert(0, (code_of("unreachable"), None))
    openers = {code_of(name) for name in ("block", "loop", "if")}
    balanced, depth = [], 0
    for code, immediate in pairs:
        if code == END and depth == 0:
            continue
        depth += (code in openers) - (code == END)
        balanced.append((code, immediate))
    balanced += [(END, None)] * (depth + 1)
    body = Body(
        codes=tuple(code for code, _ in balanced),
        immediates=tuple(immediate for _, immediate in balanced),
        offsets=(0,) * len(balanced),
    )
    zero = Const(type=I32, bits=0)
    empty = Body(codes=(END,), immediates=(None,), offsets=(0,))
    return Module(
        types=TYPES,
        functions=(
            Function(type_index=draw(st.integers(0, 5)), local_runs=LOCALS, body=body),
            Function(type_index=0, local_runs=(), body=empty),
        ),
        tables=tuple(
            TableType(element=kind, limits=Limits(minimum=1)) for kind in (FUNCREF, EXTERNREF)
        ),
        memories=(MemoryType(limits=Limits(minimum=1)),),
        globals=(
            Global(type=GlobalType(value_type=I32, mutable=True), init=zero),
            Global(type=GlobalType(value_type=I32, mutable=False), init=zero),
        ),
        elems=(
            Elem(type=FUNCREF, items=(RefFunc(index=0),), mode=SegmentMode.PASSIVE),
            Elem(type=EXTERNREF, items=(), mode=SegmentMode.PASSIVE),
        ),
        datas=(Data(data=b"x", mode=SegmentMode.PASSIVE),),
        data_count=1,
    )


@given(modules())
def test_a_body_is_valid_exactly_when_wasmtime_says_so(module: Module) -> None:
    data = encode(module)

    assert oracle.verdict(data) == oracle.is_valid(data)


@given(modules())
def test_encoding_and_decoding_gives_the_module_again(module: Module) -> None:
    data = encode(module)

    assert decode(data) == module
    assert encode(decode(data)) == data


@given(modules())
def test_printing_and_parsing_gives_the_module_again(module: Module) -> None:
    text = to_wat(module)
    if "else" in text and oracle.verdict(encode(module)) is False:
        return  # an `else` out of place has no text

    assert oracle.without_customs(parse_wat(text)) == oracle.without_customs(module)


@given(st.integers(0, (1 << 64) - 1))
def test_leb128(value: int) -> None:
    assert Reader(unsigned(value)).unsigned(64) == value
    number = value - (1 << 63)
    assert Reader(signed(number)).signed(64) == number


@given(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1))
def test_float_literals_keep_every_bit(single: int, double: int) -> None:
    assert F32.parse(float_text(single, F32)) == single
    assert F64.parse(float_text(double, F64)) == double


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_hexadecimal_floats_are_read_as_python_writes_them(value: float) -> None:
    assert F64.parse(value.hex()) == F64.parse(repr(value))


@given(st.integers(-(1 << 31), (1 << 32) - 1))
def test_integers_wrap_to_signed(value: int) -> None:
    assert parse_integer(str(value), 32) % (1 << 32) == value % (1 << 32)


@given(st.text(max_size=60))
def test_any_string_is_a_name(name: str) -> None:
    data = to_wat(Module(name=name)).encode("utf-8", "surrogatepass")
    parsed = parse_wat(data.decode())

    assert parsed.name == (name or None)
