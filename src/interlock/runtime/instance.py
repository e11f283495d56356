"""Instance: one vmctx block, initialised as the standard's section "Instantiation" says, and its exports.

What another instance may still reach stays: memories and tables live until their last user is closed, and vmctx blocks as
long as any instance that was linked with theirs.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Self

from interlock import bytecode, core, limits
from interlock.errors import (
    ClosedError,
    CompileError,
    ExitError,
    InternalError,
    LimitExceededError,
    UnsupportedError,
    WasmUnlinkableError,
)
from interlock.runtime import engine as engines
from interlock.runtime.externals import (
    ExportedFunction,
    Global,
    Memory,
    Table,
    remember_function,
    signature_text,
)
from interlock.runtime.idle import when_idle
from interlock.runtime.imports import HostFunction, ImportedFunction, resolve_imports

if TYPE_CHECKING:
    from types import TracebackType

    from interlock.bytecode import ConstExpr, FuncType, MemoryType, TableType
    from interlock.bytecode import Export as DeclaredExport
    from interlock.runtime.engine import Imports, Module
    from interlock.runtime.imports import ResolvedImports
    from interlock.runtime.wasi import Wasi

    Export = Callable[..., object] | Memory | Table | Global

_TRAP_TABLE_OUT_OF_BOUNDS = 6
_TRAP_MEMORY_OUT_OF_BOUNDS = 5
_TRAP_INTERRUPTED = 11
_INTERRUPT_WORD = 16  # IL_VMCTX_INTERRUPT
_TRAPS_OF_CLOSED = (
    13,
    14,
)  # code retired; a fault, when a function's two words were read while they were cleared


class Exports(Mapping[str, "Export"]):
    """An instance's exports by name: a mapping, with attribute access for names that are identifiers."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._made: dict[str, Export] = {}
        self._declared = {
            export.name: export for export in instance.module.validated.module.exports
        }

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
        self._layout = module.layout
        self._memories: list[Memory] = []
        self._tables: list[Table] = []
        self._globals: list[Global] = []
        self._segments: list[core.Block] = []
        self._owners: list[Instance] = []
        self._linked: dict[
            int, object
        ] = {}  # instances that import from this one; closed ones leave their block
        self._wasi: Wasi | None = None
        self._vmctx = core.Block(self._layout.size)
        try:
            resolved = resolve_imports(
                module.validated, imports, wasi=wasi, memory=self._wasi_memory
            )
            self._wasi = wasi
            self._initialise(resolved)
            self.exports = Exports(self)
            self._run_segments()
            self._run_start()
        except BaseException:
            # What it has already put into another's table or memory stays, and its functions with it ("Instantiation", note
            # on segments): then the other instance keeps it.
            if not self._owners:
                self.close()
            raise

    # -- public ---------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Call `_start`, as a WASI command is run, and return its exit status (0 when it just returns)."""
        self._require_open()
        start = self.exports.get("_start")
        if not callable(start):
            raise TypeError(
                "the module exports no function _start; call one of its exports instead"
            )
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

        The instance is closed for good when that happens: its memory may be half changed.  Of nested deadlines the
        earliest counts.
        """
        self._require_open()
        outer: float | None = getattr(_deadlines, "end", None)
        end = time.monotonic() + seconds
        _set_deadline(end if outer is None else min(end, outer))
        try:
            yield
        finally:
            _set_deadline(outer)

    def interrupt(self) -> None:
        """End its calls in progress, on whatever thread, and close it for good; for another thread, or a host function.

        Each such call raises `Trap` of kind ``interrupted``: at once from guest code and bulk operations, from a host
        function when that returns.  Instances linked with this one, by imports in either direction, are interrupted
        together, since their calls may be inside its code.  A call that a host function makes into an instance which is
        not linked goes on to its end.  What is called afterwards raises `ClosedError`.
        """
        group = self._linked_group()
        for instance in group:
            instance._is_interrupted = True
            # First, so that a host function which waits ends: closing waits for it.
            instance._vmctx.write_u64(_INTERRUPT_WORD, 1)
        for instance in group:
            instance.close()
        core.interrupt([instance._vmctx.address for instance in group])

    def close(self) -> None:
        """Free memories and tables; idempotent.  Exports called afterwards raise `ClosedError`.

        What other instances import from this one stays for them; its functions trap.
        """
        if self._is_closed:
            return
        self._is_closed = True
        for index in self.module.defined_function_indices:
            at = self._layout.function(index)
            self._vmctx.write_u64(at, self.engine._closed_code)
            self._vmctx.write_u64(at + 8, 0)
        # A host function may be closing its caller, which then returns into code that looks at all this.
        kept = (self._vmctx, self._host_functions, self._host_funcrefs)
        when_idle(lambda: core.forget_instance(kept[0].address))
        for memory in self._memories:
            memory.release()
        for table in self._tables:
            table.release()
        for owner in self._owners:
            owner._linked[id(self)] = kept
        if self._wasi is not None:
            self._wasi.close()

    @property
    def is_closed(self) -> bool:
        """Whether `close` or `interrupt` was called, or a deadline ended a call."""
        return self._is_closed

    def __enter__(self) -> Self:
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

    def __del__(self) -> None:
        """An instance that was not closed leaves no memory behind."""
        with contextlib.suppress(Exception):
            self.close()

    # -- what the binding calls -----------------------------------------------------------------------------------------

    def make_trap(self, kind: int, pc: int) -> Exception:
        """The exception for a trap of this instance's code."""
        name = self.engine._function_name_at(pc)
        if kind in _TRAPS_OF_CLOSED and self._is_interrupted:
            kind = _TRAP_INTERRUPTED  # closed before the signal came
        if kind == _TRAP_INTERRUPTED:
            self.close()
        elif kind in _TRAPS_OF_CLOSED and self._is_closed and self.engine.config.release_gil:
            return ClosedError("the instance was closed while it ran")
        return engines.make_trap(kind, name)

    def compile_function(self, index: int) -> int:
        """Make a defined function runnable and point its funcref at it."""
        if self._is_interrupted:
            raise self.make_trap(_TRAP_INTERRUPTED, 0)
        self._require_open()
        try:
            address = self.module.address(index)
        except CompileError:
            if core.is_interrupted():
                raise self.make_trap(_TRAP_INTERRUPTED, 0) from None
            raise
        self._vmctx.write_u64(self._layout.function(index), address)
        return address

    # -- initialisation -------------------------------------------------------------------------------------------------

    _is_interrupted = False
    _host_functions: core.HostFunctions = ()
    _host_funcrefs: core.Block | None = None

    def _initialise(self, resolved: ResolvedImports) -> None:
        """Fill vmctx: imports first, then definitions, as the index spaces are ordered."""
        module, layout, block = self.module.validated.module, self._layout, self._vmctx
        self.module._instances.add(self)
        block.write_u64(0, self.engine._exec.address)
        self._host_functions = tuple(
            (f.call, _python_signature(f.type, f.name), f.name)
            if isinstance(f, HostFunction)
            else None
            for f in resolved.functions
        )
        core.register_instance(self, block.address, self._host_functions)
        for owner in resolved.owners():
            if owner.engine.config.release_gil is not self.engine.config.release_gil:
                message = "of two linked instances one would run with the GIL and one without (release_gil)"
                raise WasmUnlinkableError(message)
            owner._linked[id(self)] = self
            self._owners.append(owner)
        for index, memory in enumerate(resolved.memories):
            block.write_u64(layout.memory(index), memory.address)
            memory.retain()
            self._memories.append(memory)
        for index, table in enumerate(resolved.tables):
            block.write_u64(layout.table(index), table.address)
            table.retain()
            self._tables.append(table)
        for index, cell in enumerate(resolved.globals):
            block.write_u64(layout.global_(index), cell.address)
            self._globals.append(cell)
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
        funcrefs = self._host_funcrefs = core.Block(24 * max(1, len(resolved.functions)))
        for index, function in enumerate(resolved.functions):
            if isinstance(function, ImportedFunction):
                block.write_u64(layout.function(index), function.funcref_address)
                continue
            block.write_u64(layout.function(index), funcrefs.address + 24 * index)
            funcrefs.write_u64(24 * index, self.module.stub_address(index))
            funcrefs.write_u64(24 * index + 8, block.address)
            funcrefs.write_u64(24 * index + 16, engines.type_id(function.type))
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
        pages = limits.WASM_MEMORY_PAGES_MAX if declared is None else declared
        pages = min(pages, config.memory_bytes_max // limits.WASM_PAGE_BYTES)
        address = self._vmctx.address + self._layout.memory(len(self._memories))
        core.memory_open(address, minimum, pages * limits.WASM_PAGE_BYTES)
        self._memories.append(Memory(address, self, memory_type))

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
        core.table_open(address, table_type.limits.minimum, min(maximum, config.table_elements_max))
        self._tables.append(Table(address, self, table_type))

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

    def _run_segments(self) -> None:
        """Active segments in order, each dropped after use; passive ones are kept for their instructions."""
        module, layout = self.module.validated.module, self._layout
        for index, elem in enumerate(module.elems):
            if elem.mode is bytecode.SegmentMode.DECLARATIVE:
                continue
            refs = [self._evaluate(item) for item in elem.items]
            if elem.mode is bytecode.SegmentMode.ACTIVE:
                offset = self._evaluate(elem.offset) & 0xFFFFFFFF
                self._fill_table(self._tables[elem.table_index], offset, refs)
            elif refs:
                stored = core.Block(8 * len(refs))
                core.write_pointers(stored.address, refs)
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

    def _run_start(self) -> None:
        start = self.module.validated.module.start
        if start is not None:
            self._make_function(start, self.module.function_name(start))()

    def _keep_segment(self, at: int, stored: core.Block, length: int) -> None:
        self._segments.append(stored)
        self._vmctx.write_u64(at, stored.address)
        self._vmctx.write_u64(at + 8, length)

    def _fill_table(self, table: Table, offset: int, refs: list[int]) -> None:
        if offset + len(refs) > len(table):
            raise engines.make_trap(_TRAP_TABLE_OUT_OF_BOUNDS, "")
        core.write_pointers(core.read_u64(table.address) + 8 * offset, refs)

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

    def _make_function(self, index: int, name: str) -> Callable[..., object]:
        func_type = self.module.validated.func_type(index)
        funcref = self._funcref(index)
        function = core.make_function(
            name,
            f"{name}{func_type}",
            self.engine._exec.address,
            funcref,
            _python_signature(func_type, name),
            self,
        )
        remember_function(
            function,
            ExportedFunction(type=func_type, funcref_address=funcref, owner=weakref.ref(self)),
        )
        return function

    def _linked_group(self) -> list[Instance]:
        """This instance and all that are linked with it, directly or through others."""
        group: dict[int, Instance] = {}
        waiting = [self]
        while waiting:
            instance = waiting.pop()
            if id(instance) not in group:
                group[id(instance)] = instance
                waiting += instance._owners
                waiting += [
                    each for each in instance._linked.values() if isinstance(each, Instance)
                ]
        return list(group.values())

    def _wasi_memory(self) -> Memory:
        for export in self.module.validated.module.exports:
            if export.name == "memory" and export.kind is bytecode.ExternKind.MEMORY:
                return self._memories[export.index]
        raise TypeError("the module exports no memory named 'memory', which WASI needs")

    def _require_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the instance is closed")


_deadlines = threading.local()


def _set_deadline(end: float | None) -> None:
    """Let this thread's guest code be interrupted at a time of the monotonic clock; None: not at all."""
    _deadlines.end = end
    core.set_deadline(None if end is None else end - time.monotonic())


def _python_signature(func_type: FuncType, name: str) -> str:
    if any(kind.is_ref for kind in (*func_type.params, *func_type.results)):
        raise UnsupportedError(f"references at the border to Python (function {name} {func_type})")
    return signature_text(func_type)
