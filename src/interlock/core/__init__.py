"""The binding of libinterlock: code memory, calls, and the structs that lowered code reads.

`library.py` has the functions of `interlock.h` through ctypes, for what is called once; `_binding` is C, for what is called
often.  This package believes nothing about bytes: the writer process does that.
"""

from __future__ import annotations

from interlock.core.code_memory import (
    Arena,
    PublishedCode,
    describe_region,
    harden,
    jump_table_bytes,
    open_region,
    relocation_bytes,
    validate,
    validate_all,
)
from interlock.core.execution import (
    ExecContext,
    HostFunctions,
    MemoryBuffer,
    forget_instance,
    gate_addresses,
    gate_names,
    install_traps,
    interrupt,
    is_interrupted,
    is_running,
    make_function,
    memory_grow,
    memory_open,
    register_instance,
    set_deadline,
    table_close,
    table_open,
    trap_text,
    write_pointers,
)
from interlock.core.library import (
    WRITER_CALLBACK,
    WRITER_PATH,
    WRITER_PROCESS,
)
from interlock.core.raw_memory import Block, read_bytes, read_u64, write_bytes, write_u64

__all__ = [
    "WRITER_CALLBACK",
    "WRITER_PATH",
    "WRITER_PROCESS",
    "Arena",
    "Block",
    "ExecContext",
    "HostFunctions",
    "MemoryBuffer",
    "PublishedCode",
    "describe_region",
    "forget_instance",
    "gate_addresses",
    "gate_names",
    "harden",
    "install_traps",
    "interrupt",
    "is_interrupted",
    "is_running",
    "jump_table_bytes",
    "make_function",
    "memory_grow",
    "memory_open",
    "open_region",
    "read_bytes",
    "read_u64",
    "register_instance",
    "relocation_bytes",
    "set_deadline",
    "table_close",
    "table_open",
    "trap_text",
    "validate",
    "validate_all",
    "write_bytes",
    "write_pointers",
    "write_u64",
]
