"""The text format (WAT): from text to a `Module`.

Two passes over the fields, since names may be used before they are defined: the first notes every definition and its
name, the second reads what the fields hold, in the order of the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.bytecode.binary_body import needs_data_count
from interlock.bytecode.const_expr import instructions, simplify
from interlock.bytecode.module import (
    ZERO,
    ConstExpr,
    Data,
    Elem,
    Export,
    Function,
    Global,
    Import,
    Module,
    RefFunc,
)
from interlock.bytecode.name_section import write_names
from interlock.bytecode.opcodes import Feature
from interlock.bytecode.text_instructions import InstructionParser
from interlock.bytecode.text_lexer import Cursor, Lexer
from interlock.bytecode.text_scope import Scope
from interlock.bytecode.types import (
    ExternKind,
    GlobalType,
    Limits,
    MemoryType,
    SegmentMode,
    TableType,
    ValType,
)

if TYPE_CHECKING:
    from interlock.source import Span

_KINDS: Final = {str(kind): kind for kind in ExternKind}
_KEYWORDS: Final = frozenset(
    {"import", "func", "table", "memory", "global", "export", "start", "elem", "data"}
)
_GC_TYPE_FORMS: Final = frozenset({"struct", "array", "sub"})


def parse_wat(text: str, *, file: str = "") -> Module:
    """Parse a module in the text format; `(module …)` itself may be left out.

    Raises `WasmMalformedError`, `LimitExceededError` or `UnsupportedError`, each with line and column.
    """
    return _ModuleParser(Lexer(text, file)).parse()


@dataclass(slots=True)
class _Field:
    """A field noted by the first pass; `pos` is where the second goes on."""

    keyword: str
    offset: int
    pos: int
    index: int = 0
    exports: list[str] = field(default_factory=list)
    imported: tuple[str, str] | None = None


class _ModuleParser:
    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self.cursor = Cursor(lexer)
        self.scope = Scope()
        self.fields: list[_Field] = []
        self.name: str | None = None
        self.defined = ""  # keyword of the first definition: imports must stand before it
        self.imports: list[Import] = []
        self.functions: list[Function] = []
        self.tables: list[TableType] = []
        self.memories: list[MemoryType] = []
        self.globals: list[Global] = []
        self.exports: list[Export] = []
        self.elems: list[Elem] = []
        self.datas: list[Data] = []
        self.start: int | None = None
        self.places: dict[tuple[str, int], Span] = {}
        self.local_names: dict[int, dict[int, str]] = {}

    def parse(self) -> Module:
        cursor = self.cursor
        has_module = cursor.accept_open("module")
        if has_module:
            self.name = cursor.accept_id()
        closing = ")" if has_module else ""
        while cursor.current != closing:
            self._note_field()
        if has_module:
            cursor.pos += 1
            if cursor.current:
                cursor.unexpected("the end of the text")
        for noted in self.fields:
            cursor.pos = noted.pos
            self._read(noted)
        return self._module()

    def _module(self) -> Module:
        self._check_counts()
        function_names = {index: name for name, index in self.scope.ids["func"].items()}
        names = write_names(self.name, function_names, self.local_names)
        expressions = [item.init for item in self.globals]
        expressions += [item for elem in self.elems for item in (elem.offset, *elem.items)]
        bodies = [function.body for function in self.functions]
        names_data = any(map(needs_data_count, bodies)) or any(
            needs_data_count(instructions(item)) for item in expressions
        )
        return Module(
            types=tuple(self.scope.types),
            imports=tuple(self.imports),
            functions=tuple(self.functions),
            tables=tuple(self.tables),
            memories=tuple(self.memories),
            globals=tuple(self.globals),
            exports=tuple(self.exports),
            start=self.start,
            elems=tuple(self.elems),
            datas=tuple(self.datas),
            data_count=len(self.datas) if names_data else None,
            customs=(names,) if names is not None else (),
            name=self.name,
            function_names=function_names,
            local_names={index: names for index, names in self.local_names.items() if names},
            places=self.places,
            file=self.lexer.file,
            line_starts=self.lexer.line_starts,
        )

    def _check_counts(self) -> None:
        counts = {
            "WASM_TYPES_MAX": len(self.scope.types),
            "WASM_IMPORTS_MAX": len(self.imports),
            "WASM_FUNCTIONS_MAX": len(self.functions),
            "WASM_TABLES_MAX": len(self.tables),
            "WASM_MEMORIES_MAX": len(self.memories),
            "WASM_GLOBALS_MAX": len(self.globals),
            "WASM_EXPORTS_MAX": len(self.exports),
            "WASM_ELEM_SEGMENTS_MAX": len(self.elems),
            "WASM_DATA_SEGMENTS_MAX": len(self.datas),
            "WASM_TABLE_ELEMENTS_MAX": max((len(elem.items) for elem in self.elems), default=0),
        }
        for name, count in counts.items():
            self.scope.check_limit(name, count, self.cursor)

    # -- first pass -----------------------------------------------------------------------------------------------------

    def _note_field(self) -> None:
        cursor = self.cursor
        offset = cursor.offset
        cursor.expect("(")
        keyword = cursor.current
        start = cursor.pos
        if keyword in {"rec", "tag"}:
            cursor.unsupported(Feature.GC if keyword == "rec" else Feature.EXCEPTION_HANDLING)
        if keyword != "type" and keyword not in _KEYWORDS:
            cursor.unexpected("a module field")
        cursor.pos += 1
        if keyword == "type":
            self._define_type()
            return
        noted = _Field(keyword=keyword, offset=offset, pos=cursor.pos)
        if keyword == "import":
            self._note_import(noted)
        elif keyword in _KINDS:
            self._note_definition(noted)
        elif keyword in {"elem", "data"}:
            at = cursor.pos
            noted.index = self.scope.declare(keyword, cursor.accept_id(), cursor, at)
            noted.pos = cursor.pos
        self.fields.append(noted)
        cursor.pos = start
        cursor.skip_list()

    def _define_type(self) -> None:
        cursor, at = self.cursor, self.cursor.pos
        self.places.setdefault(("type", 0), self.lexer.span(cursor.offset))
        self.scope.declare("type", cursor.accept_id(), cursor, at)
        cursor.expect("(")
        if cursor.current in _GC_TYPE_FORMS:
            cursor.unsupported(Feature.GC)
        cursor.expect("func")
        func_type, _ = self.scope.signature(cursor)
        cursor.expect(")")
        cursor.expect(")")
        self.scope.define_type(func_type)

    def _note_import(self, noted: _Field) -> None:
        cursor = self.cursor
        self._require_no_definition()
        noted.imported = (cursor.name(), cursor.name())
        cursor.expect("(")
        noted.pos = cursor.pos  # the second pass reads the kind again
        kind = cursor.current
        if kind == "tag":
            cursor.unsupported(Feature.EXCEPTION_HANDLING)
        if kind not in _KINDS:
            cursor.unexpected("func, table, memory or global")
        cursor.pos += 1
        at = cursor.pos
        noted.index = self.scope.declare(kind, cursor.accept_id(), cursor, at)

    def _require_no_definition(self) -> None:
        if self.defined:
            self.cursor.fail(f"import after {self.defined}")

    def _note_definition(self, noted: _Field) -> None:
        cursor, at = self.cursor, self.cursor.pos
        noted.index = self.scope.declare(noted.keyword, cursor.accept_id(), cursor, at)
        while cursor.accept_open("export"):
            noted.exports.append(cursor.name())
            cursor.expect(")")
        if cursor.at_open("import"):
            self._require_no_definition()
            cursor.pos += 2
            noted.imported = (cursor.name(), cursor.name())
            cursor.expect(")")
        elif not self.defined:
            self.defined = "function" if noted.keyword == "func" else noted.keyword
        noted.pos = cursor.pos
        # An abbreviation which defines a segment too takes the segment's place in the index space.
        if noted.keyword == "memory" and self._at_memory_data():
            self.scope.declare("data", None, cursor, at)
        elif noted.keyword == "table" and self._at_table_elem():
            self.scope.declare("elem", None, cursor, at)

    def _at_memory_data(self) -> bool:
        cursor, start = self.cursor, self.cursor.pos
        cursor.accept("i32")
        found = cursor.at_open("data")
        cursor.pos = start
        return found

    def _at_table_elem(self) -> bool:
        cursor, start = self.cursor, self.cursor.pos
        cursor.accept("i32")
        if cursor.accept("("):
            cursor.skip_list()
        elif cursor.current[:1].isalpha():
            cursor.pos += 1
        found = cursor.at_open("elem")
        cursor.pos = start
        return found

    # -- second pass: imports and definitions ----------------------------------------------------------------------------

    def _read(self, noted: _Field) -> None:
        match noted.keyword:
            case "import":
                self._read_import(noted)
            case "func":
                self._read_func(noted)
            case "table":
                self._read_table(noted)
            case "memory":
                self._read_memory(noted)
            case "global":
                self._read_global(noted)
            case "export":
                self._read_export(noted)
            case "start":
                self._read_start(noted)
            case "elem":
                self._read_elem(noted)
            case "data":
                self._read_data(noted)

    def _span(self, noted: _Field) -> Span:
        return self.lexer.span(noted.offset, self.cursor.offset)

    def _add_exports(self, noted: _Field, kind: ExternKind) -> None:
        span = self.lexer.span(noted.offset)
        self.exports.extend(
            Export(name=name, kind=kind, index=noted.index, span=span) for name in noted.exports
        )

    def _add_import(
        self, noted: _Field, kind: ExternKind, desc: int | TableType | MemoryType | GlobalType
    ) -> bool:
        """Add the import if the field is one."""
        if noted.imported is None:
            return False
        module, name = noted.imported
        self.imports.append(
            Import(module=module, name=name, kind=kind, desc=desc, span=self._span(noted))
        )
        return True

    def _read_import(self, noted: _Field) -> None:
        cursor = self.cursor
        kind = _KINDS[cursor.next()]
        cursor.accept_id()
        desc: int | TableType | MemoryType | GlobalType
        match kind:
            case ExternKind.FUNC:
                use = self.scope.type_use(cursor, may_name=True)
                self._name_locals(noted.index, use.param_ids)
                desc = use.type_index
            case ExternKind.TABLE:
                desc = self._table_type()
            case ExternKind.MEMORY:
                desc = self._memory_type()
            case ExternKind.GLOBAL:
                desc = self._global_type()
        cursor.expect(")")
        cursor.expect(")")
        self._add_import(noted, kind, desc)

    def _name_locals(self, function: int, ids: dict[str, int]) -> None:
        if ids:
            self.local_names[function] = {index: name for name, index in ids.items()}

    def _read_func(self, noted: _Field) -> None:
        cursor = self.cursor
        use = self.scope.type_use(cursor, may_name=True)
        self._add_exports(noted, ExternKind.FUNC)
        if self._add_import(noted, ExternKind.FUNC, use.type_index):
            self._name_locals(noted.index, use.param_ids)
            cursor.expect(")")
            return
        ids = dict(use.param_ids)
        runs = self._locals(ids, len(use.type.params))
        body = InstructionParser(cursor, self.scope, ids).parse_sequence()
        self._name_locals(noted.index, ids)
        cursor.expect(")")
        self.functions.append(
            Function(type_index=use.type_index, local_runs=runs, body=body, span=self._span(noted))
        )

    def _locals(self, ids: dict[str, int], count: int) -> tuple[tuple[int, ValType], ...]:
        cursor = self.cursor
        params = count
        runs: list[tuple[int, ValType]] = []
        while cursor.accept_open("local"):
            at = cursor.pos
            name = cursor.accept_id()
            if name is None:
                kinds = self.scope.val_types(cursor)
            else:
                if name in ids:
                    cursor.fail(f"duplicate local ${name}", at)
                ids[name] = count
                kinds = [self.scope.val_type(cursor)]
                cursor.expect(")")
            for kind in kinds:
                if runs and runs[-1][1] is kind:
                    runs[-1] = (runs[-1][0] + 1, kind)
                else:
                    runs.append((1, kind))
            count += len(kinds)
        self.scope.check_limit("WASM_LOCALS_MAX", count - params, cursor)
        return tuple(runs)

    def _table_type(self) -> TableType:
        bounds = self.scope.limits(self.cursor)
        return TableType(element=self.scope.ref_type(self.cursor), limits=bounds)

    def _read_table(self, noted: _Field) -> None:
        cursor = self.cursor
        self._add_exports(noted, ExternKind.TABLE)
        self.places["table", len(self.tables)] = self.lexer.span(noted.offset)
        if noted.imported is None and self._at_table_elem():
            cursor.accept("i32")
            element = self.scope.ref_type(cursor)
            cursor.pos += 2  # (elem
            items = self._items() if cursor.current == "(" else self._function_items()
            cursor.expect(")")
            cursor.expect(")")
            bounds = Limits(minimum=len(items), maximum=len(items))
            self.tables.append(TableType(element=element, limits=bounds))
            self.elems.append(
                Elem(
                    type=element,
                    items=items,
                    mode=SegmentMode.ACTIVE,
                    table_index=noted.index,
                    span=self._span(noted),
                )
            )
            return
        table_type = self._table_type()
        if cursor.current == "(":
            cursor.unsupported(Feature.FUNCTION_REFERENCES)
        cursor.expect(")")
        if not self._add_import(noted, ExternKind.TABLE, table_type):
            self.tables.append(table_type)

    def _memory_type(self) -> MemoryType:
        bounds = self.scope.limits(self.cursor)
        if self.cursor.current == "shared":
            self.cursor.unsupported(Feature.THREADS)
        return MemoryType(limits=bounds)

    def _read_memory(self, noted: _Field) -> None:
        cursor = self.cursor
        self._add_exports(noted, ExternKind.MEMORY)
        self.places["memory", len(self.memories)] = self.lexer.span(noted.offset)
        if noted.imported is None and self._at_memory_data():
            cursor.accept("i32")
            cursor.pos += 2  # (data
            data = self._strings()
            cursor.expect(")")
            cursor.expect(")")
            pages = -(-len(data) // limits.WASM_PAGE_BYTES)
            self.memories.append(MemoryType(limits=Limits(minimum=pages, maximum=pages)))
            self.datas.append(
                Data(
                    data=data,
                    mode=SegmentMode.ACTIVE,
                    memory_index=noted.index,
                    span=self._span(noted),
                )
            )
            return
        memory_type = self._memory_type()
        cursor.expect(")")
        if not self._add_import(noted, ExternKind.MEMORY, memory_type):
            self.memories.append(memory_type)

    def _global_type(self) -> GlobalType:
        cursor = self.cursor
        if cursor.accept_open("mut"):
            value_type = self.scope.val_type(cursor)
            cursor.expect(")")
            return GlobalType(value_type=value_type, mutable=True)
        return GlobalType(value_type=self.scope.val_type(cursor), mutable=False)

    def _read_global(self, noted: _Field) -> None:
        cursor = self.cursor
        self._add_exports(noted, ExternKind.GLOBAL)
        global_type = self._global_type()
        if self._add_import(noted, ExternKind.GLOBAL, global_type):
            cursor.expect(")")
            return
        init = self._expression()
        cursor.expect(")")
        self.globals.append(Global(type=global_type, init=init, span=self._span(noted)))

    # -- second pass: exports, start, segments ---------------------------------------------------------------------------

    def _read_export(self, noted: _Field) -> None:
        cursor = self.cursor
        name = cursor.name()
        cursor.expect("(")
        if cursor.current == "tag":
            cursor.unsupported(Feature.EXCEPTION_HANDLING)
        kind = _KINDS.get(cursor.current)
        if kind is None:
            cursor.unexpected("func, table, memory or global")
        cursor.pos += 1
        index = self.scope.index(str(kind), cursor)
        cursor.expect(")")
        cursor.expect(")")
        self.exports.append(Export(name=name, kind=kind, index=index, span=self._span(noted)))

    def _read_start(self, noted: _Field) -> None:
        if self.start is not None:
            self.cursor.fail("multiple start sections")
        self.places["start", 0] = self.lexer.span(noted.offset)
        self.start = self.scope.index("func", self.cursor)
        self.cursor.expect(")")

    def _expression(self) -> ConstExpr:
        """Instructions up to `)`."""
        at = self.cursor.offset
        body = InstructionParser(self.cursor, self.scope).parse_sequence()
        return simplify(body, self.lexer.span(at, self.cursor.offset))

    def _folded_expression(self) -> ConstExpr:
        at = self.cursor.offset
        body = InstructionParser(self.cursor, self.scope).parse_folded()
        return simplify(body, self.lexer.span(at, self.cursor.offset))

    def _offset(self) -> ConstExpr:
        if self.cursor.accept_open("offset"):
            expression = self._expression()
            self.cursor.expect(")")
            return expression
        return self._folded_expression()

    def _strings(self) -> bytes:
        parts = []
        while self.cursor.at_string():
            parts.append(self.cursor.string())
        return b"".join(parts)

    def _read_data(self, noted: _Field) -> None:
        cursor = self.cursor
        memory_index, offset, mode = 0, ZERO, SegmentMode.PASSIVE
        expression: ConstExpr = offset
        if cursor.accept_open("memory"):
            memory_index = self.scope.index("memory", cursor)
            cursor.expect(")")
            mode = SegmentMode.ACTIVE
        elif self.scope.at_index(cursor):
            memory_index = self.scope.index("memory", cursor)
            mode = SegmentMode.ACTIVE
        if mode is SegmentMode.ACTIVE or cursor.current == "(":
            mode = SegmentMode.ACTIVE
            expression = self._offset()
        data = self._strings()
        cursor.expect(")")
        self.datas.append(
            Data(
                data=data,
                mode=mode,
                memory_index=memory_index,
                offset=expression,
                span=self._span(noted),
            )
        )

    def _read_elem(self, noted: _Field) -> None:
        cursor = self.cursor
        mode, table_index = SegmentMode.PASSIVE, 0
        offset: ConstExpr = ZERO
        has_table = is_old = False
        if cursor.accept("declare"):
            mode = SegmentMode.DECLARATIVE
        elif cursor.accept_open("table"):
            table_index = self.scope.index("table", cursor)
            cursor.expect(")")
            has_table = True
        elif cursor.current[:1].isdigit():
            table_index = self.scope.index("table", cursor)
            is_old = True  # the form of 1.0: a table index without `(table …)`
        if mode is SegmentMode.PASSIVE and (has_table or is_old or self._at_offset()):
            mode = SegmentMode.ACTIVE
            offset = self._offset()
        may_omit = mode is SegmentMode.ACTIVE and not has_table
        kind, items = self._elem_list(may_omit=may_omit)
        cursor.expect(")")
        self.elems.append(
            Elem(
                type=kind,
                items=items,
                mode=mode,
                table_index=table_index,
                offset=offset,
                span=self._span(noted),
            )
        )

    def _at_offset(self) -> bool:
        """Whether an offset stands at the cursor, and not a reference type."""
        return self.cursor.current == "(" and not self.cursor.at_open("ref")

    def _elem_list(self, *, may_omit: bool) -> tuple[ValType, tuple[ConstExpr, ...]]:
        cursor = self.cursor
        if cursor.accept("func"):
            return ValType.FUNCREF, self._function_items()
        if may_omit and (cursor.current == ")" or self.scope.at_index(cursor)):
            return ValType.FUNCREF, self._function_items()
        kind = self.scope.ref_type(cursor)
        return kind, self._items()

    def _function_items(self) -> tuple[ConstExpr, ...]:
        items: list[ConstExpr] = []
        while self.scope.at_index(self.cursor):
            span = self.lexer.span(self.cursor.offset)
            items.append(RefFunc(index=self.scope.index("func", self.cursor), span=span))
        return tuple(items)

    def _items(self) -> tuple[ConstExpr, ...]:
        cursor = self.cursor
        items: list[ConstExpr] = []
        while cursor.current == "(":
            if cursor.accept_open("item"):
                items.append(self._expression())
                cursor.expect(")")
            else:
                items.append(self._folded_expression())
        return tuple(items)
