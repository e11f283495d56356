"""Every limit by name.  Each is tested at the limit and one past it.

Limits shared with the core (`IL_...` in `core/include/interlock.h`) are compared with the built library by a test.
"""

from __future__ import annotations

from typing import Final

# Code memory (core/include/interlock.h).
CODE_VIEW_BYTES: Final = 64 << 20
RODATA_DELTA_BYTES: Final = 64 << 20
SLOT_GRAIN_BYTES: Final = 64
IMAGE_CODE_BYTES_MAX: Final = 4 << 20
IMAGE_RODATA_BYTES_MAX: Final = 4 << 20
IMAGE_ENTRIES_MAX: Final = 4096
IMAGE_RELOCATIONS_MAX: Final = 65536
IMAGE_TABLES_MAX: Final = 1024
ARENA_IMPORTS_MAX: Final = 256
FRAME_BYTES_MAX: Final = 256 << 10
STACK_ROOM_BYTES: Final = 768 << 10
THREADS_MAX: Final = 8192

# WebAssembly: the implementation limits of the JavaScript API (section "Implementation-defined Limits") where it has one.
WASM_MODULE_BYTES_MAX: Final = 1 << 30
WASM_TYPES_MAX: Final = 1_000_000
WASM_FUNCTIONS_MAX: Final = 1_000_000
WASM_IMPORTS_MAX: Final = 1_000_000
WASM_EXPORTS_MAX: Final = 1_000_000
WASM_GLOBALS_MAX: Final = 1_000_000
WASM_DATA_SEGMENTS_MAX: Final = 100_000
WASM_ELEM_SEGMENTS_MAX: Final = 100_000
WASM_TABLES_MAX: Final = 100_000
WASM_MEMORIES_MAX: Final = 100
WASM_TABLE_ELEMENTS_MAX: Final = 10_000_000
WASM_FUNCTION_BYTES_MAX: Final = 7_654_321
WASM_LOCALS_MAX: Final = 50_000
WASM_PARAMS_MAX: Final = 1_000
WASM_RESULTS_MAX: Final = 1_000
WASM_NESTING_MAX: Final = 10_000
WASM_OPERANDS_MAX: Final = 1_000_000
WASM_BR_TABLE_TARGETS_MAX: Final = 65_520
WASM_MEMORY_PAGES_MAX: Final = 65_536
WASM_PAGE_BYTES: Final = 65_536

# Lowering and compiling one function.
LOWERED_LINES_MAX: Final = 4_000_000  # of LLVM IR
LOWERED_EDGE_VALUES_MAX: Final = 10_000_000  # values that branches carry, over all branches
COMPILE_SECONDS_MAX: Final = 120
COMPILE_MEMORY_BYTES_MAX: Final = 4 << 30

# Typed Python.
PYTHON_EXPONENT_MAX: Final = 64  # of `**`, which is repeated multiplication
PYTHON_INFERENCE_PASSES_MAX: Final = 64  # over one function
PYTHON_FUNCTIONS_MAX: Final = 10_000  # of one program

# The cache on disk.
CACHE_BYTES_MAX: Final = 256 << 20
CACHE_ENTRY_BYTES_MAX: Final = 16 << 20

# JavaScript.
JS_BIGINT_DIGITS_MAX: Final = 100_000  # of one decimal literal

# WASI preview 1.
WASI_DESCRIPTORS_MAX: Final = 1024
WASI_IOVECS_MAX: Final = 1024
WASI_TRANSFER_BYTES_MAX: Final = 1 << 30
WASI_PATH_BYTES_MAX: Final = 4096
WASI_PATH_DEPTH_MAX: Final = 256
WASI_SYMLINKS_MAX: Final = 40
WASI_DIRECTORY_ENTRIES_MAX: Final = 1 << 20
WASI_SUBSCRIPTIONS_MAX: Final = 4096

# Apple's contract: property lists, signatures, scenarios.
ENTITLEMENTS_BYTES_MAX: Final = 1 << 20
ENTITLEMENTS_NESTING_MAX: Final = 32
MACHO_IMAGE_BYTES_MAX: Final = 1 << 30  # of a library in memory, on the modelled Mac
MACHO_BYTES_MAX: Final = 1 << 30
MACHO_ARCHITECTURES_MAX: Final = 16
MACHO_LOAD_COMMANDS_MAX: Final = 4096
CODE_SIGNATURE_BLOBS_MAX: Final = 64
LAUNCHER_PYTHON_BYTES_MAX: Final = 1023  # PATH_MAX of macOS, less the end
SCENARIO_BYTES_MAX: Final = 1 << 16
SCENARIO_STEPS_MAX: Final = 4096
SCENARIO_LENGTH_BYTES_MAX: Final = 1 << 22
PROBE_RESULT_BYTES_MAX: Final = 1 << 22

# The auditor.
AUDIT_SHOWN_BYTES_MAX: Final = 16 << 20  # of a file whose lines reports show
AUDIT_SHOWN_FILES_MAX: Final = 64  # whose lines are held at once
AUDIT_BASELINE_BYTES_MAX: Final = 64 << 20
