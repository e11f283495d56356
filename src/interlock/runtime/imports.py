"""Linking: every import of a module gets a value of the right type, or the module is unlinkable.

The words of the errors are the testsuite's: `unknown import`, `incompatible import type`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import core
from interlock.bytecode import FuncType, GlobalType, MemoryType, TableType
from interlock.errors import WasmUnlinkableError
from interlock.runtime.externals import Global, Memory, Table, exported_function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interlock.bytecode import Import, Limits, ValidatedModule
    from interlock.runtime.engine import Extern, Imports
    from interlock.runtime.instance import Instance
    from interlock.runtime.wasi import Wasi
    from interlock.runtime.wasi.guest_memory import LinearMemory

WASI_MODULE = "wasi_snapshot_preview1"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunction:
    """A Python callable which the module imports, with the type the module gives it."""

    call: Callable[..., object]
    type: FuncType
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFunction:
    """A function exported by another instance: its funcref is used as it is."""

    funcref_address: int
    owner: Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImports:
    """Imports by kind, each in the order of its index space."""

    functions: tuple[HostFunction | ImportedFunction, ...]
    tables: tuple[Table, ...]
    memories: tuple[Memory, ...]
    globals: tuple[Global, ...]

    def owners(self) -> list[Instance]:
        """The other instances that something comes from."""
        items = (*self.functions, *self.tables, *self.memories, *self.globals)
        found = (getattr(item, "owner", None) for item in items)
        return [owner for owner in found if owner is not None]


def resolve_imports(
    module: ValidatedModule,
    imports: Imports,
    *,
    wasi: Wasi | None,
    memory: Callable[[], LinearMemory],
) -> ResolvedImports:
    """Find and check every import; `WasmUnlinkableError` names the first that fails."""
    functions: list[HostFunction | ImportedFunction] = []
    tables: list[Table] = []
    memories: list[Memory] = []
    cells: list[Global] = []
    wasi_functions: Mapping[str, Extern] = {}
    if wasi is not None:
        wasi_functions = wasi.imports(memory, is_interrupted=core.is_interrupted)
    for wanted in module.module.imports:
        value = _find(wanted, imports, wasi_functions)
        match module.import_type(wanted):
            case FuncType() as func_type:
                functions.append(_function(wanted, func_type, value))
            case TableType() as table_type:
                tables.append(_table(wanted, table_type, value))
            case MemoryType() as memory_type:
                memories.append(_memory(wanted, memory_type, value))
            case GlobalType() as global_type:
                cells.append(_global(wanted, global_type, value))
    return ResolvedImports(
        functions=tuple(functions),
        tables=tuple(tables),
        memories=tuple(memories),
        globals=tuple(cells),
    )


def _find(wanted: Import, imports: Imports, wasi_functions: Mapping[str, Extern]) -> Extern:
    fields = imports.get(wanted.module)
    if fields is not None and wanted.name in fields:
        return fields[wanted.name]
    if wanted.module == WASI_MODULE and wanted.name in wasi_functions:
        return wasi_functions[wanted.name]
    hint = ""
    if wanted.module == WASI_MODULE and not wasi_functions:
        hint = " (pass wasi=interlock.Wasi(...) to instantiate a WASI program)"
    message = f"unknown import {wanted.module}.{wanted.name}{hint}"
    raise WasmUnlinkableError(message)


def _refuse(wanted: Import, detail: str) -> WasmUnlinkableError:
    message = f"incompatible import type for {wanted.module}.{wanted.name}: {detail}"
    return WasmUnlinkableError(message)


def _function(
    wanted: Import, func_type: FuncType, value: Extern
) -> HostFunction | ImportedFunction:
    exported = exported_function(value)
    owner = exported.owner() if exported is not None else None
    if exported is not None and owner is not None:
        if exported.type != func_type:
            raise _refuse(wanted, f"the module wants {func_type}, the export is {exported.type}")
        return ImportedFunction(funcref_address=exported.funcref_address, owner=owner)
    if not callable(value) or isinstance(value, Memory | Table | Global):
        raise _refuse(wanted, f"the module wants a function {func_type}")
    return HostFunction(call=value, type=func_type, name=f"{wanted.module}.{wanted.name}")


def _limits_fit(have: Limits, want: Limits) -> bool:
    if have.minimum < want.minimum:
        return False
    if want.maximum is None:
        return True
    return have.maximum is not None and have.maximum <= want.maximum


def _table(wanted: Import, table_type: TableType, value: Extern) -> Table:
    if not isinstance(value, Table):
        raise _refuse(wanted, "the module wants a table")
    if value.type.element != table_type.element or not _limits_fit(
        value.current_limits, table_type.limits
    ):
        raise _refuse(wanted, f"the module wants {table_type}")
    return value


def _memory(wanted: Import, memory_type: MemoryType, value: Extern) -> Memory:
    if not isinstance(value, Memory):
        raise _refuse(wanted, "the module wants a memory")
    if not _limits_fit(value.current_limits, memory_type.limits):
        raise _refuse(wanted, f"the module wants {memory_type}")
    return value


def _global(wanted: Import, global_type: GlobalType, value: Extern) -> Global:
    if isinstance(value, Global):
        if value.type != global_type:
            raise _refuse(wanted, f"the module wants {global_type}, the global is {value.type}")
        return value
    if isinstance(value, int | float) and not global_type.mutable:
        return Global(global_type, value)
    raise _refuse(wanted, f"the module wants a global {global_type}")
