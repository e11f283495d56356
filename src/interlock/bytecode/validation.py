"""Validation of modules (WebAssembly core, chapter Validation): the one place that makes a `ValidatedModule`.

Messages are the testsuite's words.  What the opcode table knows and this version does not validate is an
`UnsupportedError`, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from interlock import limits
from interlock.bytecode.body_validation import BodyValidator, Context
from interlock.bytecode.module import (
    BlockType,
    Const,
    ConstExpr,
    Data,
    Elem,
    Function,
    GlobalGet,
    Import,
    InstExpr,
    Module,
    RefFunc,
    RefNull,
)
from interlock.bytecode.opcodes import Feature, code_of, opcode_of
from interlock.bytecode.types import (
    ExternKind,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    SegmentMode,
    TableType,
    ValType,
)
from interlock.errors import InternalError, UnsupportedError, WasmInvalidError

if TYPE_CHECKING:
    from interlock.source import Span

_SEAL: Final = object()
_U32_MAX: Final = 0xFFFFFFFF
_EXTENDED_CONST: Final = frozenset(
    code_of(f"{kind}.{name}") for kind in ("i32", "i64") for name in ("add", "sub", "mul")
)
_CONST_CODES: Final = frozenset(
    code_of(name)
    for name in (
        *("i32.const", "i64.const", "f32.const", "f64.const"),
        *("global.get", "ref.func", "ref.null", "end"),
    )
)
_GC_CONST_NAMES: Final = frozenset(
    {
        *("struct.new", "struct.new_default", "array.new", "array.new_default", "array.new_fixed"),
        *("ref.i31", "any.convert_extern", "extern.convert_any", "v128.const"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedModule:
    """A module that keeps every rule.  Only `validate` makes one.

    The tuples are index spaces: imports first, then definitions.
    """

    module: Module
    function_type_indices: tuple[int, ...]
    table_types: tuple[TableType, ...]
    memory_types: tuple[MemoryType, ...]
    global_types: tuple[GlobalType, ...]
    imported_function_count: int
    imported_table_count: int
    imported_memory_count: int
    imported_global_count: int
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise InternalError(
                stage="validate", detail="a ValidatedModule is made by validate() only"
            )
        object.__setattr__(self, "seal", None)

    def func_type(self, index: int) -> FuncType:
        """The type of a function of the index space, imported or defined."""
        return self.module.types[self.function_type_indices[index]]

    def function(self, index: int) -> Function:
        """A defined function by its place in the index space."""
        if index < self.imported_function_count:
            raise InternalError(stage="validate", detail=f"function {index} is an import")
        return self.module.functions[index - self.imported_function_count]

    def local_types(self, index: int) -> tuple[ValType, ...]:
        """Parameters, then locals, of a defined function."""
        return self.func_type(index).params + self.function(index).locals

    def block_type(self, immediate: BlockType) -> FuncType:
        """The type that the immediate of block, loop or if stands for."""
        return resolve_block_type(self.module.types, immediate)

    def import_type(self, item: Import) -> FuncType | TableType | MemoryType | GlobalType:
        """The type which an import asks for."""
        return self.module.types[item.desc] if isinstance(item.desc, int) else item.desc


_VALUE_BLOCKS: Final = {kind: FuncType((), (kind,)) for kind in ValType}
_EMPTY_BLOCK: Final = FuncType((), ())


def resolve_block_type(types: tuple[FuncType, ...], immediate: BlockType) -> FuncType:
    """The function type of a block type."""
    if immediate is None:
        return _EMPTY_BLOCK
    return _VALUE_BLOCKS[immediate] if isinstance(immediate, ValType) else types[immediate]


def validate(module: Module) -> ValidatedModule:
    """Check every rule.  Raises `WasmInvalidError` or `UnsupportedError`, located."""
    return _ModuleValidator(module).validate()


class _ModuleValidator:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.whole = module.span(0)
        self.imported = {
            kind: [item for item in module.imports if item.kind is kind] for kind in ExternKind
        }
        self.function_type_indices = tuple(
            [item.desc for item in self.imported[ExternKind.FUNC] if isinstance(item.desc, int)]
            + [function.type_index for function in module.functions]
        )
        imported_tables = [i.desc for i in module.imports if isinstance(i.desc, TableType)]
        imported_memories = [i.desc for i in module.imports if isinstance(i.desc, MemoryType)]
        imported_globals = [i.desc for i in module.imports if isinstance(i.desc, GlobalType)]
        self.table_types = (*imported_tables, *module.tables)
        self.memory_types = (*imported_memories, *module.memories)
        self.global_types = (*imported_globals, *(item.type for item in module.globals))
        self.imported_global_count = len(imported_globals)

    def validate(self) -> ValidatedModule:
        module = self.module
        self._types()
        self._imports()
        self._functions()
        for number, table in enumerate(module.tables):
            self._table_type(table, self._place("table", number))
        for number, memory in enumerate(module.memories):
            self._memory_type(memory, self._place("memory", number))
        if len(self.memory_types) > 1:
            last = self._place("memory", len(module.memories) - 1)
            raise UnsupportedError(Feature.MULTI_MEMORY.value, span=last)
        self._globals()
        self._exports()
        self._start()
        for elem in module.elems:
            self._elem(elem)
        for data in module.datas:
            self._data(data)
        if module.data_count is not None and module.data_count != len(module.datas):
            self._fail("data count and data section have inconsistent lengths", self.whole)
        self._bodies()
        return ValidatedModule(
            module=module,
            function_type_indices=self.function_type_indices,
            table_types=self.table_types,
            memory_types=self.memory_types,
            global_types=self.global_types,
            imported_function_count=len(self.imported[ExternKind.FUNC]),
            imported_table_count=len(self.imported[ExternKind.TABLE]),
            imported_memory_count=len(self.imported[ExternKind.MEMORY]),
            imported_global_count=self.imported_global_count,
            seal=_SEAL,
        )

    def _fail(self, message: str, span: Span | None) -> NoReturn:
        raise WasmInvalidError(message, span=span if span is not None else self.whole)

    def _place(self, keyword: str, number: int = 0) -> Span:
        return self.module.places.get((keyword, number), self.whole)

    # -- types ----------------------------------------------------------------------------------------------------------

    def _value_type(self, kind: ValType, span: Span | None) -> None:
        if kind is ValType.V128:
            raise UnsupportedError(Feature.SIMD.value, span=span or self.whole)

    def _types(self) -> None:
        for func_type in self.module.types:
            if ValType.V128 in func_type.params or ValType.V128 in func_type.results:
                raise UnsupportedError(Feature.SIMD.value, span=self._place("type"))

    def _type_index(self, index: int, span: Span | None) -> None:
        if index >= len(self.module.types):
            self._fail(f"unknown type {index}", span)

    def _limits(self, bounds: Limits, maximum: int, message: str, span: Span) -> None:
        for value in (bounds.minimum, bounds.maximum):
            if value is not None and value > maximum:
                self._fail(message, span)
        if bounds.maximum is not None and bounds.minimum > bounds.maximum:
            self._fail("size minimum must not be greater than maximum", span)

    def _table_type(self, table: TableType, span: Span) -> None:
        self._limits(table.limits, _U32_MAX, "table size must be at most 2^32-1", span)

    def _memory_type(self, memory: MemoryType, span: Span) -> None:
        message = "memory size must be at most 65536 pages (4GiB)"
        self._limits(memory.limits, limits.WASM_MEMORY_PAGES_MAX, message, span)

    def _imports(self) -> None:
        for item in self.module.imports:
            span = item.span or self.whole
            match item.desc:
                case TableType() as table:
                    self._table_type(table, span)
                case MemoryType() as memory:
                    self._memory_type(memory, span)
                case GlobalType(value_type=kind):
                    self._value_type(kind, span)
                case index:
                    self._type_index(index, span)

    # -- definitions ----------------------------------------------------------------------------------------------------

    def _functions(self) -> None:
        for function in self.module.functions:
            self._type_index(function.type_index, function.span)

    def _globals(self) -> None:
        for number, item in enumerate(self.module.globals):
            self._value_type(item.type.value_type, item.span)
            # A constant expression sees the globals before it.
            visible = self.imported_global_count + number
            self._const_expr(item.init, item.type.value_type, visible)

    def _exports(self) -> None:
        spaces = {
            ExternKind.FUNC: len(self.function_type_indices),
            ExternKind.TABLE: len(self.table_types),
            ExternKind.MEMORY: len(self.memory_types),
            ExternKind.GLOBAL: len(self.global_types),
        }
        words = {ExternKind.FUNC: "function"}
        names: set[str] = set()
        for item in self.module.exports:
            if item.index >= spaces[item.kind]:
                self._fail(f"unknown {words.get(item.kind, item.kind)} {item.index}", item.span)
            if item.name in names:
                self._fail("duplicate export name", item.span)
            names.add(item.name)

    def _start(self) -> None:
        start = self.module.start
        if start is None:
            return
        if start >= len(self.function_type_indices):
            self._fail(f"unknown function {start}", self._place("start"))
        func_type = self.module.types[self.function_type_indices[start]]
        if func_type.params or func_type.results:
            self._fail("start function", self._place("start"))

    def _elem(self, elem: Elem) -> None:
        if elem.mode is SegmentMode.ACTIVE:
            if elem.table_index >= len(self.table_types):
                self._fail(f"unknown table {elem.table_index}", elem.span)
            if self.table_types[elem.table_index].element is not elem.type:
                self._fail("type mismatch", elem.span)
            self._const_expr(elem.offset, ValType.I32, len(self.global_types))
        for item in elem.items:
            self._const_expr(item, elem.type, len(self.global_types))

    def _data(self, data: Data) -> None:
        if data.mode is SegmentMode.ACTIVE:
            if data.memory_index >= len(self.memory_types):
                self._fail(f"unknown memory {data.memory_index}", data.span)
            self._const_expr(data.offset, ValType.I32, len(self.global_types))

    # -- expressions ----------------------------------------------------------------------------------------------------

    def _const_expr(self, expression: ConstExpr, want: ValType, visible_globals: int) -> None:
        match expression:
            case Const(type=kind) | RefNull(type=kind):
                pass
            case RefFunc(index=index):
                kind = ValType.FUNCREF
                if index >= len(self.function_type_indices):
                    self._fail(f"unknown function {index}", expression.span)
            case GlobalGet(index=index):
                if index >= visible_globals:
                    self._fail(f"unknown global {index}", expression.span)
                if self.global_types[index].mutable:
                    self._fail("constant expression required", expression.span)
                kind = self.global_types[index].value_type
            case _:
                self._refuse_expression(expression)
        if kind is not want:
            self._fail(f"type mismatch: expected {want}, found {kind}", expression.span)

    def _refuse_expression(self, expression: InstExpr) -> NoReturn:
        """Say what is wrong with an expression which is none of the four forms."""
        for code, offset in zip(expression.body.codes, expression.body.offsets, strict=True):
            opcode = opcode_of(code)
            if code in _EXTENDED_CONST:
                raise UnsupportedError(Feature.EXTENDED_CONST.value, span=self.module.span(offset))
            if opcode.name in _GC_CONST_NAMES:
                raise UnsupportedError(opcode.feature.value, span=self.module.span(offset))
            if code not in _CONST_CODES:
                self._fail("constant expression required", self.module.span(offset))
        for code, immediate in zip(expression.body.codes, expression.body.immediates, strict=True):
            if opcode_of(code).name == "ref.null" and not isinstance(immediate, ValType):
                raise UnsupportedError(Feature.GC.value, span=expression.span)
        self._fail("type mismatch: not one value", expression.span)

    def _declared_functions(self) -> frozenset[int]:
        """Functions which `ref.func` may name: those that stand outside bodies, the start function aside."""
        module = self.module
        declared = {item.index for item in module.exports if item.kind is ExternKind.FUNC}
        expressions: list[ConstExpr] = [item.init for item in module.globals]
        for elem in module.elems:
            expressions.extend(elem.items)
        declared.update(item.index for item in expressions if isinstance(item, RefFunc))
        return frozenset(declared)

    def _bodies(self) -> None:
        module = self.module
        context = Context(
            module=module,
            types=module.types,
            function_types=tuple([module.types[index] for index in self.function_type_indices]),
            table_types=tuple([table.element for table in self.table_types]),
            memory_count=len(self.memory_types),
            global_types=self.global_types,
            elem_types=tuple([elem.type for elem in module.elems]),
            data_count=len(module.datas),
            declared_functions=self._declared_functions(),
        )
        for function in module.functions:
            BodyValidator(context, function).validate()
