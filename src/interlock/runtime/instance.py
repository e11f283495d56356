"""Instance: one vmctx block, initialised as the standard's section "Instantiation" says, and its exports."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from interlock import bytecode, core, limits
from interlock.errors import ClosedError, ExitError, InternalError, LimitExceededError, Trap
from interlock.runtime import engine as engines
from interlock.runtime.externals import Global, Memory, Table, signature_text
from interlock.runtime.imports import HostFunction, ImportedFunction, resolve_imports

if TYPE_CHECKING:
    from types import TracebackType

    from interlock.bytecode import ConstExpr
    from interlock.runtime.engine import Imports, Module
    from interlock.runtime.wasi import Wasi

    Export = Callable[..., object] | Memory | Table | Global

_TRAP_TABLE_OUT_OF_BOUNDS = 6
_TRAP_MEMORY_OUT_OF_BOUNDS = 5
_TRAP_INTERRUPTED = 11


class Exports(Mapping[str, "Export"]):
    """An instance's exports by name: a mapping, with attribute access for names that are identifiers."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._made: dict[str, Export] = {}
        self._declared = {export.name: export for export in instance.module.validated.module.exports}

    def __getitem__(self, name: str) -> Export:
        """The export; functions are builtins, made on first use."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._instance.make_export(self._declared[name])
        return made

    def __getattr__(self, name: str) -> Export:
        """`exports.add` for `exports["add"]`."""
        try:
            return self[name]
        except KeyError:
            message = f"the instance exports no {name!r}"
            raise AttributeError(message) from None

    def __iter__(self) -> Iterator[str]:
        """Names in the module's order."""
        return iter(self._declared)

    def __len__(self) -> int:
        """Number of exports."""
        return len(self._declared)

    def __dir__(self) -> list[str]:
        """Names, for completion."""
        return list(self._declared)

    def __repr__(self) -> str:
        """`<exports add, memory>`."""
        return f"<exports {', '.join(self._declared)}>"


class Instance:
    """A running module.  Made by `Engine.instantiate`; `close` frees its memories and tables."""

    def __init__(self, module: Module, imports: Imports, *, wasi: Wasi | None) -> None:
        self.module = module
        self.engine = module.engine
        self._is_closed = False
        self._wasi = wasi
        self._layout = module.layout
        self._vmctx = core.Block(self._layout.size)
        self._keep: list[object] = []
        self._closers: list[Callable[[], None]] = []
        resolved = resolve_imports(module.validated, imports, wasi=wasi, memory=self._wasi_memory)
        try:
            self._initialise(resolved)
        except BaseException:
            self.close()
            raise
        self.exports = Exports(self)
        try:
            self._run_segments_and_start()
        except BaseException:
            self.close()
            raise

    # -- public ---------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Call `_start`, as a WASI command is run, and return its exit status (0 when it just returns)."""
        self._require_open()
        start = self.exports.get("_start")
        if not callable(start):
            raise TypeError("the module exports no function _start; call one of its exports instead")
        try:
            start()
        except ExitError as exit_error:
            return exit_error.status
        finally:
            if self._wasi is not None:
                self._wasi.flush()
        return 0

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Within the block, calls on this thread that run longer end with `Trap` of kind ``interrupted``.

        The instance is closed for good when that happens: its memory may be half changed.
        """
        self._require_open()
        core.set_deadline(self.engine._exec, seconds)
        try:
            yield
        finally:
            core.set_deadline(self.engine._exec, None)

    def close(self) -> None:
        """Free memories and tables; idempotent.  Exports called afterwards raise `ClosedError`."""
        if self._is_closed:
            return
        self._is_closed = True
        for index in self.module.defined_function_indices:
            self._vmctx.write_u64(self._layout.function(index), 0)
        core.forget_instance(self._vmctx.address)
        for closer in reversed(self._closers):
            closer()
        self._closers.clear()
        if self._wasi is not None:
            self._wasi.close()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called or a deadline ended a call."""
        return self._is_closed

    def __enter__(self) -> Instance:
        """Return the instance itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    # -- what the binding calls -----------------------------------------------------------------------------------------

    def make_trap(self, kind: int, pc: int) -> Exception:
        """The exception for a trap of this instance's code."""
        index = self.module.function_at(pc)
        name = self.module.function_name(index) if index is not None else ""
        if kind == _TRAP_INTERRUPTED:
            self.close()
        return Trap(core.trap_text(kind), code=kind, function=name)

    def compile_function(self, index: int) -> int:
        """Make a defined function runnable and point its funcref at it."""
        address = self.module.address(index)
        self._vmctx.write_u64(self._layout.function(index), address)
        return address

    # -- initialisation -------------------------------------------------------------------------------------------------

    def _initialise(self, resolved: ResolvedImports) -> None:
        """Fill vmctx: imports first, then definitions, as the index spaces are ordered."""
        module, layout, block = self.module.validated.module, self._layout, self._vmctx
        block.write_u64(0, self.engine._exec.address)
        self._memories = list(resolved.memories)
        self._tables = list(resolved.tables)
        self._globals = list(resolved.globals)
        self._functions = list(resolved.functions)
        core.register_instance(
            self,
            block.address,
            [
                (f.call, signature_text(f.type), f.name) if isinstance(f, HostFunction) else None
                for f in resolved.functions
            ],
        )
        self._closers.append(lambda: core.forget_instance(block.address))
        for index, memory in enumerate(resolved.memories):
            block.write_u64(layout.memory(index), memory.address)
        for index, table in enumerate(resolved.tables):
            block.write_u64(layout.table(index), table.address)
        for index, cell in enumerate(resolved.globals):
            block.write_u64(layout.global_(index), cell.address)
        for index, func_type in enumerate(module.types):
            block.write_u64(layout.type_id(index), engines.type_id(func_type))
        self._initialise_functions(resolved)
        for memory_type in module.memories:
            self._open_memory(memory_type)
        for table_type in module.tables:
            self._open_table(table_type)
        for variable in module.globals:
            index = len(self._globals)
            address = block.address + layout.global_(index)
            block.write_u64(layout.global_(index), self._evaluate(variable.init))
            self._globals.append(Global(variable.type, address=address, owner=self))

    def _initialise_functions(self, resolved: ResolvedImports) -> None:
        validated, layout, block = self.module.validated, self._layout, self._vmctx
        self._host_funcrefs = core.Block(24 * max(1, len(resolved.functions)))
        for index, function in enumerate(resolved.functions):
            if isinstance(function, ImportedFunction):
                block.write_u64(layout.function(index), function.funcref_address)
                continue
            address = self._host_funcrefs.address + 24 * index
            block.write_u64(layout.function(index), address)
            self._host_funcrefs.write_u64(24 * index, self.module.stub_address(index))
            self._host_funcrefs.write_u64(24 * index + 8, block.address)
            self._host_funcrefs.write_u64(24 * index + 16, engines.type_id(function.type))
        for index in self.module.defined_function_indices:
            at = layout.function(index)
            block.write_u64(at, self.module.current_address(index))
            block.write_u64(at + 8, block.address)
            block.write_u64(at + 16, engines.type_id(validated.func_type(index)))

    def _open_memory(self, memory_type: MemoryType) -> None:
        config = self.engine.config
        minimum = memory_type.limits.minimum * limits.WASM_PAGE_BYTES
        if minimum > config.memory_bytes_max:
            raise LimitExceededError(
                limit="memory_bytes_max", value=minimum, maximum=config.memory_bytes_max
            )
        declared = memory_type.limits.maximum
        pages = declared if declared is not None else limits.WASM_MEMORY_PAGES_MAX
        address = self._vmctx.address + self._layout.memory(len(self._memories))
        maximum = min(pages * limits.WASM_PAGE_BYTES, config.memory_bytes_max)
        core.memory_open(address, minimum, maximum)
        self._memories.append(Memory(address, self, memory_type))
        self._closers.append(lambda: core.memory_close(address))

    def _open_table(self, table_type: TableType) -> None:
        config = self.engine.config
        if table_type.limits.minimum > config.table_elements_max:
            raise LimitExceededError(
                limit="table_elements_max",
                value=table_type.limits.minimum,
                maximum=config.table_elements_max,
            )
        declared = table_type.limits.maximum
        maximum = config.table_elements_max if declared is None else declared
        address = self._vmctx.address + self._layout.table(len(self._tables))
        core.table_open(
            address, table_type.limits.minimum, min(maximum, config.table_elements_max)
        )
        self._tables.append(Table(address, self, table_type))
        self._closers.append(lambda: core.table_close(address))

    def _funcref(self, index: int) -> int:
        """The address of a function's funcref: one load for imports, inside vmctx for definitions."""
        at = self._layout.function(index)
        if index < self.module.validated.imported_function_count:
            return self._vmctx.read_u64(at)
        return self._vmctx.address + at

    def _evaluate(self, expression: ConstExpr) -> int:
        """The 64-bit cell of a constant expression (validated: one of these instructions)."""
        match expression:
            case bytecode.Const(bits=bits):
                return bits
            case bytecode.GlobalGet(index=index):
                return core.read_u64(self._globals[index].address)
            case bytecode.RefFunc(index=index):
                return self._funcref(index)
            case bytecode.RefNull():
                return 0
        raise InternalError(stage="instantiate", detail=f"constant expression {expression!r}")

    def _run_segments_and_start(self) -> None:
        """Active segments in order, each dropped after use; then the start function."""
        module, layout, block = self.module.validated.module, self._layout, self._vmctx
        for index, elem in enumerate(module.elems):
            refs = [self._evaluate(item) for item in elem.items]
            if elem.mode is bytecode.SegmentMode.ACTIVE:
                offset = self._evaluate(elem.offset) & 0xFFFFFFFF
                self._fill_table(self._tables[elem.table_index], offset, refs)
            elif elem.mode is bytecode.SegmentMode.PASSIVE and refs:
                stored = core.Block(8 * len(refs))
                for at, ref in enumerate(refs):
                    stored.write_u64(8 * at, ref)
                self._keep_segment(layout.elem_segment(index), stored, len(refs))
        for index, data in enumerate(module.datas):
            if data.mode is bytecode.SegmentMode.ACTIVE:
                offset = self._evaluate(data.offset) & 0xFFFFFFFF
                try:
                    self._memories[data.memory_index].write(offset, data.data)
                except IndexError:
                    raise engines.make_trap(_TRAP_MEMORY_OUT_OF_BOUNDS, "") from None
            elif data.data:
                stored = core.Block(len(data.data))
                core.write_bytes(stored.address, data.data)
                self._keep_segment(layout.data_segment(index), stored, len(data.data))
        if module.start is not None:
            self._make_function(module.start, "start")()
        del block

    def _keep_segment(self, at: int, stored: core.Block, length: int) -> None:
        self._keep.append(stored)
        self._vmctx.write_u64(at, stored.address)
        self._vmctx.write_u64(at + 8, length)

    def _fill_table(self, table: Table, offset: int, refs: list[int]) -> None:
        if offset + len(refs) > len(table):
            raise engines.make_trap(_TRAP_TABLE_OUT_OF_BOUNDS, "")
        elements = core.read_u64(table.address)
        for at, ref in enumerate(refs):
            core.write_u64(elements + 8 * (offset + at), ref)

    # -- exports --------------------------------------------------------------------------------------------------------

    def make_export(self, export: DeclaredExport) -> Export:
        """The Python object for one export."""
        match export.kind:
            case bytecode.ExternKind.FUNC:
                return self._make_function(export.index, export.name)
            case bytecode.ExternKind.MEMORY:
                return self._memories[export.index]
            case bytecode.ExternKind.TABLE:
                return self._tables[export.index]
            case bytecode.ExternKind.GLOBAL:
                return self._globals[export.index]
        raise UnsupportedError(f"exports of kind {export.kind.name.lower()}")

    def _make_function(self, index: int, name: str) -> Callable[..., object]:
        func_type = self.module.validated.func_type(index)
        funcref = self._funcref(index)
        function = core.make_function(
            name,
            f"{name}{func_type}",
            self.engine._exec.address,
            funcref,
            signature_text(func_type),
            self,
        )
        remember_function(function, ExportedFunction(type=func_type, funcref_address=funcref))
        return function

    def _wasi_memory(self) -> Memory:
        for export in self.module.validated.module.exports:
            if export.name == "memory" and export.kind is bytecode.ExternKind.MEMORY:
                return self._memories[export.index]
        raise TypeError("the module exports no memory named 'memory', which WASI needs")

    def _require_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the instance is closed")
