"""Instructions in the binary format: from bytes to a `Body`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.bytecode.binary_reader import Reader
from interlock.bytecode.module import BlockType, Body, Immediate, MemArg
from interlock.bytecode.opcodes import BY_CODE, CODES_END, OPCODES, PREFIX_BASES, Imm, code_of
from interlock.errors import LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMORY_INDEX_FLAG: Final = 0x40  # of a memarg's alignment: a memory index follows
_CATCH_WITH_TAG: Final = 2  # catch kinds below have a tag index
_CATCH_KINDS: Final = 4

END: Final = code_of("end")
OPENERS: Final = frozenset(code_of(name) for name in ("block", "loop", "if", "try_table"))


def _block_type(reader: Reader) -> BlockType:
    at = reader.pos
    code = reader.signed(33)
    if code >= 0:
        return code
    if code == -0x40:
        return None
    # A one-byte type: read it again as what it is.
    if reader.pos != at + 1:
        reader.fail("malformed block type", at)
    reader.pos = at
    return reader.val_type()


def _labels(reader: Reader) -> tuple[int, ...]:
    count = reader.count("WASM_BR_TABLE_TARGETS_MAX", limits.WASM_BR_TABLE_TARGETS_MAX)
    return tuple([reader.u32() for _ in range(count + 1)])


def _memarg(reader: Reader) -> MemArg:
    at = reader.pos
    flags = reader.u32()
    if flags >= 2 * _MEMORY_INDEX_FLAG:
        reader.fail("malformed memop flags", at)
    memory_index = reader.u32() if flags & _MEMORY_INDEX_FLAG else 0
    return MemArg(flags & ~_MEMORY_INDEX_FLAG, reader.unsigned(64), memory_index)


def _catch(reader: Reader) -> tuple[int, int | None, int]:
    at = reader.pos
    kind = reader.byte()
    if kind >= _CATCH_KINDS:
        reader.fail("malformed catch clause", at)
    tag = reader.u32() if kind < _CATCH_WITH_TAG else None
    return kind, tag, reader.u32()


def _cast_flags(reader: Reader) -> int:
    flags = reader.byte()
    if flags > 3:
        reader.fail("malformed br_on_cast flags", reader.pos - 1)
    return flags


def _order(reader: Reader) -> int:
    order = reader.byte()
    if order:
        reader.fail("zero byte expected", reader.pos - 1)
    return order


def _float_bits(layout: str, size: int) -> Callable[[Reader], Immediate]:
    unpack = struct.Struct(layout).unpack
    return lambda reader: unpack(reader.raw(size))[0]


_READERS: Final[dict[Imm, Callable[[Reader], Immediate]]] = {
    **dict.fromkeys(
        (
            Imm.LABEL,
            Imm.FUNC,
            Imm.TYPE,
            Imm.TABLE,
            Imm.LOCAL,
            Imm.GLOBAL,
            Imm.MEMORY,
            Imm.DATA,
            Imm.ELEM,
            Imm.TAG,
            Imm.FIELD,
            Imm.COUNT,
        ),
        Reader.u32,
    ),
    Imm.BLOCK_TYPE: _block_type,
    Imm.LABELS: _labels,
    Imm.MEMARG: _memarg,
    Imm.LANE: Reader.byte,
    Imm.LANES: lambda reader: reader.raw(16),
    Imm.I32: lambda reader: reader.signed(32),
    Imm.I64: lambda reader: reader.signed(64),
    Imm.F32: _float_bits("<I", 4),
    Imm.F64: _float_bits("<Q", 8),
    Imm.V128: lambda reader: reader.raw(16),
    Imm.VAL_TYPES: lambda reader: reader.vector(
        reader.val_type, "WASM_RESULTS_MAX", limits.WASM_RESULTS_MAX
    ),
    Imm.HEAP_TYPE: Reader.heap_type,
    Imm.CATCHES: lambda reader: reader.vector(
        lambda: _catch(reader), "WASM_BR_TABLE_TARGETS_MAX", limits.WASM_BR_TABLE_TARGETS_MAX
    ),
    Imm.CAST_FLAGS: _cast_flags,
    Imm.ORDER: _order,
}

_DATA_CODES: Final = frozenset(opcode.code for opcode in OPCODES if Imm.DATA in opcode.immediates)

# Shapes of one-byte opcodes, for the fast paths of `read_body`.
_SLOW, _NONE, _INDEX, _MEMARG, _SMALL_CONST, _END, _OPENER = range(7)
_INDEX_KINDS: Final = frozenset({Imm.LABEL, Imm.FUNC, Imm.LOCAL, Imm.GLOBAL})


def _shape(code: int) -> int:
    opcode = BY_CODE[code]
    if opcode is None:
        return _SLOW
    if code == END:
        return _END
    if code in OPENERS:
        return _OPENER
    match opcode.immediates:
        case ():
            return _NONE
        case (kind,) if kind in _INDEX_KINDS:
            return _INDEX
        case (Imm.MEMARG,):
            return _MEMARG
        case (Imm.I32 | Imm.I64,):
            return _SMALL_CONST
    return _SLOW


_SHAPES: Final = [_shape(code) for code in range(0x100)]
_IMMEDIATE_READERS: Final = [
    tuple(_READERS[kind] for kind in opcode.immediates) if opcode is not None else None
    for opcode in BY_CODE
]
# Loads and stores with a small alignment and offset are most of them: their immediates are shared.
_SMALL_MEMARGS: Final = [[MemArg(align, offset) for offset in range(0x80)] for align in range(4)]


def _slow(reader: Reader, first: int, at: int) -> tuple[int, Immediate]:
    """Decode one instruction whose first byte was read, any way it may be encoded."""
    code = first
    base = PREFIX_BASES.get(first) if first else None
    if base is not None:
        code = min(base + reader.u32(), CODES_END - 1)
    readers = _IMMEDIATE_READERS[code]
    opcode = BY_CODE[code]
    if readers is None or opcode is None or (base is not None and opcode.prefix != first):
        reader.fail("illegal opcode", at)
    if not readers:
        return code, None
    if len(readers) == 1:
        return code, readers[0](reader)
    return code, tuple([read(reader) for read in readers])


def read_body(reader: Reader, end: int) -> Body:
    """Instructions up to the `end` that closes them, before the offset `end`; the cursor moves behind it."""
    saved_end, reader.end = reader.end, end
    try:
        body = _read_body(reader, end)
    except IndexError:  # a fast path ran off the input
        reader.pos = len(reader.data)
        reader.fail("unexpected end")
    if reader.pos > end:
        reader.fail("unexpected end of section or function", end)
    reader.end = saved_end
    return body


def _read_body(reader: Reader, end: int) -> Body:
    data, pos = reader.data, reader.pos
    codes: list[int] = []
    immediates: list[Immediate] = []
    offsets: list[int] = []
    add_code, add_immediate, add_offset = codes.append, immediates.append, offsets.append
    shapes, small_memargs, depth_max = _SHAPES, _SMALL_MEMARGS, limits.WASM_NESTING_MAX
    depth = 0
    immediate: Immediate
    while pos < end:
        at = pos
        code = data[pos]
        shape = shapes[code]
        pos += 1
        if shape == _NONE:
            immediate = None
        elif shape == _INDEX and data[pos] < 0x80:
            immediate = data[pos]
            pos += 1
        elif shape == _MEMARG and data[pos] < 4 and data[pos + 1] < 0x80:
            immediate = small_memargs[data[pos]][data[pos + 1]]
            pos += 2
        elif shape == _SMALL_CONST and data[pos] < 0x80:
            immediate = data[pos]
            pos += 1
            if immediate >= 0x40:
                immediate -= 0x80
        elif shape == _END:
            immediate = None
            depth -= 1
            if depth < 0:
                add_code(code)
                add_immediate(None)
                add_offset(at)
                break
        else:
            reader.pos = pos
            code, immediate = _slow(reader, code, at)
            pos = reader.pos
            if shape == _OPENER:
                depth += 1
                if depth > depth_max:
                    raise LimitExceededError(
                        limit="WASM_NESTING_MAX",
                        value=depth,
                        maximum=depth_max,
                        span=reader.span(at),
                    )
        add_code(code)
        add_immediate(immediate)
        add_offset(at)
    else:
        reader.pos = pos
        reader.fail("END opcode expected" if pos == end else "unexpected end")
    reader.pos = pos
    return Body(codes=tuple(codes), immediates=tuple(immediates), offsets=tuple(offsets))


def needs_data_count(body: Body) -> bool:
    """Whether the body names a data segment, so that a data count section must stand before it."""
    return not _DATA_CODES.isdisjoint(body.codes)
