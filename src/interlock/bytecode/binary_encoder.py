"""The binary format: from a `Module` to bytes, with the shortest form of every integer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from interlock.bytecode.binary_decoder import MAGIC, SECTION_ORDER, VERSION
from interlock.bytecode.const_expr import instructions
from interlock.bytecode.leb128 import name_bytes, signed, unsigned
from interlock.bytecode.module import (
    BlockType,
    Body,
    ConstExpr,
    Data,
    Elem,
    Export,
    Function,
    Global,
    Immediate,
    Import,
    MemArg,
    Module,
    RefFunc,
)
from interlock.bytecode.opcodes import BY_CODE, Imm, Opcode
from interlock.bytecode.types import (
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    SegmentMode,
    TableType,
    ValType,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Element = TypeVar("Element")

_EMPTY_BLOCK: Final = b"\x40"
_MEMORY_INDEX_FLAG: Final = 0x40


def encode_module(module: Module) -> bytes:
    """The module's bytes; custom sections stand where they stood."""
    sections = {
        1: _vector(module.types, _func_type),
        2: _vector(module.imports, _import),
        3: _vector(module.functions, lambda function: unsigned(function.type_index)),
        4: _vector(module.tables, _table_type),
        5: _vector(module.memories, _memory_type),
        6: _vector(module.globals, _global),
        7: _vector(module.exports, _export),
        8: unsigned(module.start) if module.start is not None else b"",
        9: _vector(module.elems, _elem),
        12: unsigned(module.data_count) if module.data_count is not None else b"",
        10: _vector(module.functions, _function),
        11: _vector(module.datas, _data),
    }
    out = [MAGIC, VERSION]
    for place in range(len(SECTION_ORDER) + 1):
        content = sections.get(SECTION_ORDER[place - 1], b"") if place else b""
        if content:
            out.append(bytes([SECTION_ORDER[place - 1]]) + unsigned(len(content)) + content)
        for custom in module.customs:
            if custom.after == place:
                body = name_bytes(custom.name) + custom.data
                out.append(b"\0" + unsigned(len(body)) + body)
    return b"".join(out)


def _vector(elements: Sequence[Element], write: Callable[[Element], bytes]) -> bytes:
    """A vector; nothing at all when it is empty, since an empty section may be left out."""
    if not elements:
        return b""
    return unsigned(len(elements)) + b"".join(map(write, elements))


def _types(types: Iterable[ValType]) -> bytes:
    data = bytes(kind.value for kind in types)
    return unsigned(len(data)) + data


def _func_type(func_type: FuncType) -> bytes:
    return b"\x60" + _types(func_type.params) + _types(func_type.results)


def _limits(limits: Limits) -> bytes:
    if limits.maximum is None:
        return b"\0" + unsigned(limits.minimum)
    return b"\1" + unsigned(limits.minimum) + unsigned(limits.maximum)


def _table_type(table: TableType) -> bytes:
    return bytes([table.element.value]) + _limits(table.limits)


def _memory_type(memory: MemoryType) -> bytes:
    return _limits(memory.limits)


def _global_type(global_type: GlobalType) -> bytes:
    return bytes([global_type.value_type.value, global_type.mutable])


def _import(item: Import) -> bytes:
    head = name_bytes(item.module) + name_bytes(item.name) + bytes([item.kind.value])
    match item.desc:
        case TableType() as table:
            return head + _table_type(table)
        case MemoryType() as memory:
            return head + _memory_type(memory)
        case GlobalType() as variable:
            return head + _global_type(variable)
        case index:
            return head + unsigned(index)


def _export(item: Export) -> bytes:
    return name_bytes(item.name) + bytes([item.kind.value]) + unsigned(item.index)


def _expr(expression: ConstExpr) -> bytes:
    return encode_body(instructions(expression))


def _global(item: Global) -> bytes:
    return _global_type(item.type) + _expr(item.init)


def _elem(item: Elem) -> bytes:
    functions = [entry.index for entry in item.items if isinstance(entry, RefFunc)]
    by_index = len(functions) == len(item.items) and item.type is ValType.FUNCREF
    flags = 0 if by_index else 4
    head = b""
    if item.mode is SegmentMode.ACTIVE:
        # Without a table index the type is funcref: another type needs the longer form.
        if item.table_index or item.type is not ValType.FUNCREF:
            flags |= 2
            head = unsigned(item.table_index)
        head += _expr(item.offset)
    else:
        flags |= 3 if item.mode is SegmentMode.DECLARATIVE else 1
    if flags & 3:
        head += b"\0" if by_index else bytes([item.type.value])
    entries = map(unsigned, functions) if by_index else map(_expr, item.items)
    return unsigned(flags) + head + unsigned(len(item.items)) + b"".join(entries)


def _data(item: Data) -> bytes:
    content = unsigned(len(item.data)) + item.data
    if item.mode is SegmentMode.PASSIVE:
        return b"\1" + content
    head = b"\2" + unsigned(item.memory_index) if item.memory_index else b"\0"
    return head + _expr(item.offset) + content


def _function(item: Function) -> bytes:
    runs = b"".join(unsigned(count) + bytes([kind.value]) for count, kind in item.local_runs)
    content = unsigned(len(item.local_runs)) + runs + encode_body(item.body)
    return unsigned(len(content)) + content


# -- instructions -----------------------------------------------------------------------------------------------------------


def _block_type(block_type: BlockType) -> bytes:
    if block_type is None:
        return _EMPTY_BLOCK
    if isinstance(block_type, ValType):
        return bytes([block_type.value])
    return signed(block_type)


def _labels(labels: tuple[int, ...]) -> bytes:
    return unsigned(len(labels) - 1) + b"".join(map(unsigned, labels))


def _memarg(memarg: MemArg) -> bytes:
    align, offset, memory_index = memarg.align, memarg.offset, memarg.memory_index
    if memory_index:
        return unsigned(align | _MEMORY_INDEX_FLAG) + unsigned(memory_index) + unsigned(offset)
    return unsigned(align) + unsigned(offset)


def _heap_type(heap_type: ValType | int) -> bytes:
    return bytes([heap_type.value]) if isinstance(heap_type, ValType) else signed(heap_type)


def _catches(catches: tuple[tuple[int, int | None, int], ...]) -> bytes:
    out = [unsigned(len(catches))]
    for kind, tag, label in catches:
        out.append(bytes([kind]) + (b"" if tag is None else unsigned(tag)) + unsigned(label))
    return b"".join(out)


def _byte(value: int) -> bytes:
    return bytes([value])


_WRITERS: Final[dict[Imm, Callable[[Immediate], bytes]]] = {
    **dict.fromkeys(Imm, unsigned),
    Imm.BLOCK_TYPE: _block_type,
    Imm.LABELS: _labels,
    Imm.MEMARG: _memarg,
    Imm.LANE: _byte,
    Imm.LANES: bytes,
    Imm.I32: signed,
    Imm.I64: signed,
    Imm.F32: lambda bits: bits.to_bytes(4, "little"),
    Imm.F64: lambda bits: bits.to_bytes(8, "little"),
    Imm.V128: bytes,
    Imm.VAL_TYPES: _types,
    Imm.HEAP_TYPE: _heap_type,
    Imm.CATCHES: _catches,
    Imm.CAST_FLAGS: _byte,
    Imm.ORDER: _byte,
}


def _head(opcode: Opcode | None) -> bytes:
    if opcode is None:
        return b""
    if opcode.prefix:
        return bytes([opcode.prefix]) + unsigned(opcode.subcode)
    return bytes([opcode.subcode])


_HEADS: Final = [_head(opcode) for opcode in BY_CODE]
_IMMEDIATE_WRITERS: Final = [
    tuple(_WRITERS[kind] for kind in opcode.immediates) if opcode is not None else ()
    for opcode in BY_CODE
]


def encode_body(body: Body) -> bytes:
    """The bytes of instructions."""
    out = []
    for code, immediate in zip(body.codes, body.immediates, strict=True):
        out.append(_HEADS[code])
        writers = _IMMEDIATE_WRITERS[code]
        if len(writers) == 1:
            out.append(writers[0](immediate))
        elif writers:
            out.extend(write(value) for write, value in zip(writers, immediate, strict=True))
    return b"".join(out)
