"""The binary format: from bytes to a `Module`, section by section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from interlock import limits
from interlock.bytecode.binary_body import needs_data_count, read_body
from interlock.bytecode.binary_reader import Reader
from interlock.bytecode.const_expr import simplify
from interlock.bytecode.module import (
    ZERO,
    ConstExpr,
    CustomSection,
    Data,
    Elem,
    Export,
    Function,
    Global,
    Import,
    Module,
    RefFunc,
)
from interlock.bytecode.name_section import read_names
from interlock.bytecode.opcodes import Feature
from interlock.bytecode.types import (
    ExternKind,
    FuncType,
    GlobalType,
    MemoryType,
    SegmentMode,
    TableType,
    ValType,
)
from interlock.errors import LimitExceededError

if TYPE_CHECKING:
    from interlock.source import Span

MAGIC: Final = b"\0asm"
VERSION: Final = b"\1\0\0\0"

# Section ids in the order of the standard; custom sections (id 0) may stand anywhere.
SECTION_ORDER: Final = (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11)
_PLACES: Final = {section: place for place, section in enumerate(SECTION_ORDER, 1)}
_TAG_KIND: Final = 4
_FUNC_TYPE: Final = 0x60
_GC_TYPES: Final = frozenset({0x4E, 0x4F, 0x50, 0x5E, 0x5F})


class Decoder:
    """Decodes one module.  Each section's method fills `parts`, the arguments of `Module`."""

    def __init__(self, data: bytes, file: str) -> None:
        self.reader = Reader(data, file=file)
        self.parts: dict[str, Any] = {}
        self.customs: list[CustomSection] = []
        self.function_types: tuple[int, ...] = ()
        self.data_needed_at: int | None = None
        self.places: dict[tuple[str, int], Span] = {}
        self.counts = {"table": 0, "memory": 0}

    def decode(self) -> Module:
        """Header, sections, and what must agree between them."""
        reader = self.reader
        if len(reader.data) > limits.WASM_MODULE_BYTES_MAX:
            raise LimitExceededError(
                limit="WASM_MODULE_BYTES_MAX",
                value=len(reader.data),
                maximum=limits.WASM_MODULE_BYTES_MAX,
                span=reader.span(0),
            )
        self._header()
        place = 0
        while reader.pos < len(reader.data):
            place = self._section(place)
        if len(self.function_types) != len(self.parts.get("functions", ())):
            reader.fail("function and code section have inconsistent lengths")
        if self.parts.get("data_count", 0) not in {None, len(self.parts.get("datas", ()))} and (
            "data_count" in self.parts
        ):
            reader.fail("data count and data section have inconsistent lengths")
        if self.data_needed_at is not None and "data_count" not in self.parts:
            reader.fail("data count section required", self.data_needed_at)
        names = read_names(self.customs)
        return Module(
            customs=tuple(self.customs),
            name=names.module,
            function_names=names.functions,
            local_names=names.locals,
            places=self.places,
            file=reader.file,
            **self.parts,
        )

    def _header(self) -> None:
        reader = self.reader
        if reader.data[:4] != MAGIC:
            short = MAGIC.startswith(reader.data)
            reader.fail("unexpected end" if short else "magic header not detected")
        if reader.data[4:8] != VERSION:
            short = VERSION.startswith(reader.data[4:8])
            reader.fail("unexpected end" if short else "unknown binary version", 4)
        reader.pos = 8

    def _section(self, place: int) -> int:
        """Decode the section at the cursor; `place` is that of the last section before it."""
        reader, at = self.reader, self.reader.pos
        section = reader.byte()
        if section and section not in _PLACES:
            reader.fail("malformed section id", at)
        size = reader.u32()
        if size > len(reader.data) - reader.pos:
            reader.fail("length out of bounds", at)
        end = reader.end = reader.pos + size
        if section == 0:
            self.customs.append(
                CustomSection(name=reader.name(), data=reader.raw(end - reader.pos), after=place)
            )
        elif _PLACES[section] <= place:
            reader.fail("unexpected content after last section", at)
        else:
            place = _PLACES[section]
            getattr(self, f"_section_{section}")()
        if reader.pos != end:
            reader.fail("section size mismatch")
        reader.end = len(reader.data)
        return place

    # -- sections by id -------------------------------------------------------------------------------------------------

    def _section_1(self) -> None:
        self.places["type", 0] = self.reader.span(self.reader.pos)
        self.parts["types"] = self.reader.vector(
            self._func_type, "WASM_TYPES_MAX", limits.WASM_TYPES_MAX
        )

    def _section_2(self) -> None:
        self.parts["imports"] = self.reader.vector(
            self._import, "WASM_IMPORTS_MAX", limits.WASM_IMPORTS_MAX
        )

    def _section_3(self) -> None:
        reader = self.reader
        self.function_types = reader.vector(
            reader.u32, "WASM_FUNCTIONS_MAX", limits.WASM_FUNCTIONS_MAX
        )

    def _section_4(self) -> None:
        self.parts["tables"] = self.reader.vector(
            self._table, "WASM_TABLES_MAX", limits.WASM_TABLES_MAX
        )

    def _section_5(self) -> None:
        self.parts["memories"] = self.reader.vector(
            self._memory, "WASM_MEMORIES_MAX", limits.WASM_MEMORIES_MAX
        )

    def _section_6(self) -> None:
        self.parts["globals"] = self.reader.vector(
            self._global, "WASM_GLOBALS_MAX", limits.WASM_GLOBALS_MAX
        )

    def _section_7(self) -> None:
        self.parts["exports"] = self.reader.vector(
            self._export, "WASM_EXPORTS_MAX", limits.WASM_EXPORTS_MAX
        )

    def _section_8(self) -> None:
        at = self.reader.pos
        self.parts["start"] = self.reader.u32()
        self.places["start", 0] = self.reader.span(at)

    def _section_9(self) -> None:
        self.parts["elems"] = self.reader.vector(
            self._elem, "WASM_ELEM_SEGMENTS_MAX", limits.WASM_ELEM_SEGMENTS_MAX
        )

    def _section_10(self) -> None:
        reader, at = self.reader, self.reader.pos
        count = reader.count("WASM_FUNCTIONS_MAX", limits.WASM_FUNCTIONS_MAX)
        if count != len(self.function_types):
            reader.fail("function and code section have inconsistent lengths", at)
        self.parts["functions"] = tuple([self._function(index) for index in self.function_types])

    def _section_11(self) -> None:
        self.parts["datas"] = self.reader.vector(
            self._data, "WASM_DATA_SEGMENTS_MAX", limits.WASM_DATA_SEGMENTS_MAX
        )

    def _section_12(self) -> None:
        self.parts["data_count"] = self.reader.u32()

    def _section_13(self) -> None:
        self.reader.unsupported(Feature.EXCEPTION_HANDLING, self.reader.pos)

    # -- what sections hold ---------------------------------------------------------------------------------------------

    def _func_type(self) -> FuncType:
        reader, at = self.reader, self.reader.pos
        form = reader.byte()
        if form in _GC_TYPES:
            reader.unsupported(Feature.GC, at)
        if form != _FUNC_TYPE:
            reader.fail(
                "integer representation too long" if form >= 0x80 else "malformed type form", at
            )
        params = reader.vector(reader.val_type, "WASM_PARAMS_MAX", limits.WASM_PARAMS_MAX)
        results = reader.vector(reader.val_type, "WASM_RESULTS_MAX", limits.WASM_RESULTS_MAX)
        return FuncType(params, results)

    def _import(self) -> Import:
        reader, at = self.reader, self.reader.pos
        module, name = reader.name(), reader.name()
        kind_at = reader.pos
        kind = reader.byte()
        desc: int | TableType | MemoryType | GlobalType
        match kind:
            case ExternKind.FUNC.value:
                desc = reader.u32()
            case ExternKind.TABLE.value:
                desc = self._table_type()
            case ExternKind.MEMORY.value:
                desc = self._memory_type()
            case ExternKind.GLOBAL.value:
                desc = self._global_type()
            case _:
                self._refuse_kind(kind, kind_at, "malformed import kind")
        return Import(
            module=module, name=name, kind=ExternKind(kind), desc=desc, span=reader.span(at)
        )

    def _refuse_kind(self, kind: int, at: int, message: str) -> None:
        if kind == _TAG_KIND:
            self.reader.unsupported(Feature.EXCEPTION_HANDLING, at)
        self.reader.fail(message, at)

    def _table(self) -> TableType:
        reader, at = self.reader, self.reader.pos
        if at < reader.end and reader.data[at] == 0x40:
            reader.unsupported(Feature.FUNCTION_REFERENCES, at)
        table = self._table_type()
        self._note_place("table", at)
        return table

    def _memory(self) -> MemoryType:
        at = self.reader.pos
        memory = self._memory_type()
        self._note_place("memory", at)
        return memory

    def _note_place(self, keyword: str, at: int) -> None:
        number = self.counts[keyword]
        self.counts[keyword] = number + 1
        self.places[keyword, number] = self.reader.span(at)

    def _table_type(self) -> TableType:
        element = self.reader.ref_type()
        return TableType(element=element, limits=self.reader.limits(is_memory=False))

    def _memory_type(self) -> MemoryType:
        return MemoryType(limits=self.reader.limits(is_memory=True))

    def _global_type(self) -> GlobalType:
        reader = self.reader
        value_type = reader.val_type()
        mutable = reader.byte()
        if mutable > 1:
            reader.fail("malformed mutability", reader.pos - 1)
        return GlobalType(value_type=value_type, mutable=mutable == 1)

    def _const_expr(self) -> ConstExpr:
        reader, at = self.reader, self.reader.pos
        body = read_body(reader, reader.end)
        if needs_data_count(body) and self.data_needed_at is None:
            self.data_needed_at = at
        return simplify(body, reader.span(at))

    def _global(self) -> Global:
        at = self.reader.pos
        return Global(type=self._global_type(), init=self._const_expr(), span=self.reader.span(at))

    def _export(self) -> Export:
        reader, at = self.reader, self.reader.pos
        name = reader.name()
        kind_at = reader.pos
        kind = reader.byte()
        if kind > ExternKind.GLOBAL.value:
            self._refuse_kind(kind, kind_at, "malformed export kind")
        return Export(name=name, kind=ExternKind(kind), index=reader.u32(), span=reader.span(at))

    def _elem(self) -> Elem:
        """One element segment: bit 0 passive or declarative, bit 1 explicit table or declarative, bit 2 expressions."""
        reader, at = self.reader, self.reader.pos
        flags = reader.u32()
        if flags > 7:
            reader.fail("malformed elements segment kind", at)
        mode = SegmentMode.ACTIVE
        if flags & 1:
            mode = SegmentMode.DECLARATIVE if flags & 2 else SegmentMode.PASSIVE
        is_active = mode is SegmentMode.ACTIVE
        table_index = reader.u32() if is_active and flags & 2 else 0
        offset = self._const_expr() if is_active else ZERO
        kind = ValType.FUNCREF
        if flags & 3:
            kind_at = reader.pos
            if flags & 4:
                kind = reader.ref_type()
            elif reader.byte():
                reader.fail("malformed element kind", kind_at)
        items = reader.vector(
            self._const_expr if flags & 4 else self._ref_func,
            "WASM_TABLE_ELEMENTS_MAX",
            limits.WASM_TABLE_ELEMENTS_MAX,
        )
        return Elem(
            type=kind,
            items=items,
            mode=mode,
            table_index=table_index,
            offset=offset,
            span=reader.span(at),
        )

    def _ref_func(self) -> ConstExpr:
        at = self.reader.pos
        return RefFunc(index=self.reader.u32(), span=self.reader.span(at))

    def _data(self) -> Data:
        reader, at = self.reader, self.reader.pos
        flags = reader.u32()
        if flags > 2:
            reader.fail("malformed data segment kind", at)
        memory_index = reader.u32() if flags == 2 else 0
        mode = SegmentMode.PASSIVE if flags == 1 else SegmentMode.ACTIVE
        offset = self._const_expr() if mode is SegmentMode.ACTIVE else ZERO
        return Data(
            data=reader.raw(reader.u32()),
            mode=mode,
            memory_index=memory_index,
            offset=offset,
            span=reader.span(at),
        )

    def _function(self, type_index: int) -> Function:
        reader, at = self.reader, self.reader.pos
        section_end = reader.end
        size = reader.u32()
        if size > section_end - reader.pos:
            reader.fail("unexpected end of section or function", at)
        if size > limits.WASM_FUNCTION_BYTES_MAX:
            raise LimitExceededError(
                limit="WASM_FUNCTION_BYTES_MAX",
                value=size,
                maximum=limits.WASM_FUNCTION_BYTES_MAX,
                span=reader.span(at),
            )
        end = reader.end = reader.pos + size
        runs = self._local_runs()
        body = read_body(reader, end)
        if reader.pos != end:
            reader.fail("section size mismatch")
        reader.end = section_end
        if self.data_needed_at is None and needs_data_count(body):
            self.data_needed_at = at
        return Function(type_index=type_index, local_runs=runs, body=body, span=reader.span(at))

    def _local_runs(self) -> tuple[tuple[int, ValType], ...]:
        reader, at = self.reader, self.reader.pos
        runs = []
        total = 0
        for _ in range(reader.count("WASM_LOCALS_MAX", limits.WASM_LOCALS_MAX)):
            count = reader.u32()
            total += count
            if total >> 32:
                reader.fail("too many locals", at)
            runs.append((count, reader.val_type()))
        if total > limits.WASM_LOCALS_MAX:
            raise LimitExceededError(
                limit="WASM_LOCALS_MAX",
                value=total,
                maximum=limits.WASM_LOCALS_MAX,
                span=reader.span(at),
            )
        return tuple(runs)
