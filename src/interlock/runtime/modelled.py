"""A WebAssembly program on the modelled Mac: compiled for it by our pipeline, published by the core's library there, run as AArch64 code.

What `Engine` and `Instance` do with the memory of this process is done here with that of the modelled program: the same layout, gates
and calls of the core, one struct at a time.  Imports are those of WASI.
"""

from __future__ import annotations

import array
import ctypes
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from interlock import bytecode, codegen, core, limits, link
from interlock.artifacts import CodeImage, CodeOffset
from interlock.contract.entitlements import ALLOW_JIT, JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.outcome import OutcomeKind, ok
from interlock.errors import ExitError, InternalError, Trap, UnsupportedError, WasmUnlinkableError
from interlock.mac import Program, StoppedError, library_bytes
from interlock.runtime import pipeline
from interlock.runtime.engine import type_id
from interlock.runtime.imports import HostFunction, resolve_imports
from interlock.target import AARCH64_MACOS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.bytecode import ConstExpr, ValidatedModule
    from interlock.contract import Outcome, Profile
    from interlock.mac import Event
    from interlock.runtime.wasi import Wasi

_OK, _REJECTED, _TRAPPED = 0, 1, 2  # il_status
_HOST_ERROR, _FAULT = 12, 14  # il_trap_kind
_ARENA_BYTES = 32 << 20
_EXEC = struct.Struct("<4Q8B")
_IMAGE = struct.Struct("<6I5Q")
_REGISTERS = struct.Struct("<8Q8QQQQ")
_FUNCREF_BYTES, _TRAP_BYTES, _VERDICT_BYTES, _MEMORY_WORD = 24, 16, 160, 8
_MASK_32 = (1 << 32) - 1


class Obligation(StrEnum):
    """What a program owes a Mac, and can leave out to see what that comes to."""

    ALLOW_JIT = "allow-jit"
    ALLOW_LIST = "allow-list"
    FREEZE = "freeze"
    INVALIDATE = "invalidate"
    VALIDATE = "validate"


@dataclass(frozen=True, slots=True, kw_only=True)
class MacRun:
    """What a run came to: the program's exit status, and the Mac's last word, with the rule if one was broken."""

    exit_status: int
    outcome: Outcome
    timeline: tuple[Event, ...]

    @property
    def is_refused(self) -> bool:
        """Whether the Mac refused or ended it."""
        return self.outcome.kind is not OutcomeKind.OK


def run_on_mac(
    module: ValidatedModule,
    profile: Profile,
    *,
    wasi: Wasi,
    without: frozenset[Obligation] = frozenset(),
    switches: Mapping[str, str] | None = None,
) -> MacRun:
    """Run the program's `_start` in a process of this profile.  Raises `Trap`, and what compiling raises."""
    process = _without(profile, without)
    program = Program(
        process,
        library_bytes(),
        relist=(lambda _words: ()) if Obligation.ALLOW_LIST in without else (lambda words: words),
        is_frozen=Obligation.FREEZE not in without,
        is_synchronising=Obligation.INVALIDATE not in without,
        has_copying_callback=Obligation.VALIDATE in without,
        switches=switches,
    )
    status = 0
    try:
        with ModelledInstance(program, module, wasi) as instance:
            if Obligation.VALIDATE in without:
                instance.write_unchecked()
            status = instance.run()
    except StoppedError as stopped:
        return MacRun(exit_status=1, outcome=stopped.outcome, timeline=tuple(program.mac.timeline))
    rule = "C6" if Obligation.VALIDATE in without else ""
    return MacRun(exit_status=status, outcome=ok(rule=rule), timeline=tuple(program.mac.timeline))


def _without(profile: Profile, without: frozenset[Obligation]) -> Profile:
    """The process that leaves it out: freezing is owed by those with freeze-late only."""
    entitlements = profile.entitlements
    if Obligation.ALLOW_JIT in without:
        entitlements = entitlements.without_key(ALLOW_JIT)
    if Obligation.FREEZE in without:
        entitlements = entitlements.with_key(JIT_WRITE_ALLOWLIST_FREEZE_LATE)
    return profile.with_(entitlements=entitlements)


class ModelledInstance:
    """An instance in a modelled program.  Functions are compiled when they are first called."""

    def __init__(self, program: Program, module: ValidatedModule, wasi: Wasi) -> None:
        self._program = program
        self._module = module
        self._layout = codegen.InstanceLayout(module)
        self._wasi = wasi
        self._compiler = codegen.Compiler(AARCH64_MACOS)
        self._compiler.prestart()
        self._error: BaseException | None = None
        self._addresses: dict[int, int] = {}
        self._answer = program.allocate(16 + _VERDICT_BYTES)

    def __enter__(self) -> Self:
        """Open the region, and make the instance."""
        self._open()
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the compiler process, and what the program has open."""
        self._compiler.close()
        self._wasi.close()

    def run(self) -> int:
        """Call `_start`; its exit status."""
        for export in self._module.module.exports:
            if export.name == "_start" and export.kind is bytecode.ExternKind.FUNC:
                break
        else:
            raise UnsupportedError("a module that exports no function _start, on the modelled Mac")
        try:
            self._call(self._vmctx + self._layout.function(export.index))
        except ExitError as exit_error:
            return exit_error.status
        finally:
            self._wasi.flush()
        return 0

    def write_unchecked(self) -> None:
        """Have a listed callback that only copies write a function with a system call, and run it: nobody objects (C6)."""
        program = self._program
        system_call = program.system_call
        target = self._publish(_placeholder(len(system_call)))
        context = program.put(
            struct.pack("<3Q", target, program.put(system_call), len(system_call))
        )
        program.call_system("pthread_jit_write_with_callback_np", program.copying_callback, context)
        program.call_system("sys_icache_invalidate", target, len(system_call))
        program.call_address(target)

    # ---- Making it --------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        program, module, layout = self._program, self._module.module, self._layout
        self._check(program.call("il_region_open", program.put(b"/\0")))
        self._gates = self._read_gates()
        imports = program.put(struct.pack(f"<{len(self._gates)}Q", *self._gates.values()))
        arena = program.allocate(8)
        self._check(
            program.call("il_arena_open", imports, len(self._gates), 0, _ARENA_BYTES, arena)
        )
        self._arena = program.read_u64(arena)
        self._check(program.call("il_traps_install"))
        self._exec = program.put(
            _EXEC.pack(
                (1 << 64) - 1,
                program.function(self._host_call),
                program.function(self._compile),
                *(0,) * 9,
            )
        )
        self._vmctx = program.allocate(layout.size)
        self._set(0, self._exec)
        for index, func_type in enumerate(module.types):
            self._set(layout.type_id(index), type_id(func_type))
        self._open_memories()
        self._open_tables()
        resolved = resolve_imports(self._module, {}, wasi=self._wasi, memory=self._linear_memory)
        if resolved.memories or resolved.tables or resolved.globals:
            raise WasmUnlinkableError("the modelled Mac gives a program functions of WASI only")
        self._host_functions = [
            each for each in resolved.functions if isinstance(each, HostFunction)
        ]
        self._make_functions()
        for index, variable in enumerate(module.globals):
            self._set(layout.global_(index), self._evaluate(variable.init))
        self._run_segments()
        if module.start is not None:
            self._call(self._funcref(module.start))

    def _read_gates(self) -> dict[str, int]:
        program = self._program
        found: dict[str, int] = {}
        address = program.allocate(8)
        while name := program.call("il_gate", len(found), address):
            found[program.text(name)] = program.read_u64(address)
        return found

    def _open_memories(self) -> None:
        for index, memory in enumerate(self._module.module.memories):
            pages = memory.limits.maximum
            maximum = limits.WASM_MEMORY_PAGES_MAX if pages is None else pages
            self._check(
                self._program.call(
                    "il_memory_open",
                    memory.limits.minimum * limits.WASM_PAGE_BYTES,
                    maximum * limits.WASM_PAGE_BYTES,
                    self._vmctx + self._layout.memory(index),
                )
            )

    def _open_tables(self) -> None:
        for index, table in enumerate(self._module.module.tables):
            maximum = table.limits.maximum
            if maximum is None:
                maximum = limits.WASM_TABLE_ELEMENTS_MAX
            at = self._vmctx + self._layout.table(index)
            self._check(self._program.call("il_table_open", table.limits.minimum, maximum, at))

    def _make_functions(self) -> None:
        module, program = self._module, self._program
        imported = range(module.imported_function_count)
        defined = range(len(imported), len(imported) + len(module.module.functions))
        stubs: dict[int, int] = {}
        for image in link.stub_images(AARCH64_MACOS, imported, defined):
            base = self._publish(image)
            for name, offset in image.entries.items():
                stubs[int(name.removeprefix("f"))] = base + offset
        funcrefs = program.allocate(_FUNCREF_BYTES * max(1, len(imported)))
        for index in imported:
            self._set(self._layout.function(index), funcrefs + _FUNCREF_BYTES * index)
        for index, stub in stubs.items():
            words = struct.pack("<3Q", stub, self._vmctx, type_id(module.func_type(index)))
            program.write(self._funcref(index), words)

    def _funcref(self, index: int) -> int:
        at = self._vmctx + self._layout.function(index)
        is_imported = index < self._module.imported_function_count
        return self._program.read_u64(at) if is_imported else at

    def _evaluate(self, expression: ConstExpr) -> int:
        match expression:
            case bytecode.Const(bits=bits):
                return bits
            case bytecode.GlobalGet(index=index):
                return self._program.read_u64(self._vmctx + self._layout.global_(index))
            case bytecode.RefFunc(index=index):
                return self._funcref(index)
            case bytecode.RefNull():
                return 0
        raise InternalError(stage="instantiate", detail=f"constant expression {expression!r}")

    def _run_segments(self) -> None:
        module, layout, program = self._module.module, self._layout, self._program
        for index, elem in enumerate(module.elems):
            words = struct.pack(f"<{len(elem.items)}Q", *map(self._evaluate, elem.items))
            if elem.mode is bytecode.SegmentMode.ACTIVE:
                at = self._vmctx + layout.table(elem.table_index)
                offset = self._evaluate(elem.offset) & _MASK_32
                if offset + len(elem.items) > program.read_u64(at + 8):
                    raise Trap("out of bounds table access", code=6, function="")
                program.write(program.read_u64(at) + 8 * offset, words)
            elif elem.mode is bytecode.SegmentMode.PASSIVE:
                self._keep(layout.elem_segment(index), words, len(elem.items))
        for index, data in enumerate(module.datas):
            if data.mode is bytecode.SegmentMode.ACTIVE:
                at = self._vmctx + layout.memory(data.memory_index)
                offset = self._evaluate(data.offset) & _MASK_32
                if offset + len(data.data) > program.read_u64(at + _MEMORY_WORD):
                    raise Trap("out of bounds memory access", code=5, function="")
                program.write(program.read_u64(at) + offset, data.data)
            else:
                self._keep(layout.data_segment(index), data.data, len(data.data))

    def _keep(self, at: int, data: bytes, length: int) -> None:
        self._set(at, self._program.put(data))
        self._set(at + 8, length)

    def _set(self, offset: int, value: int) -> None:
        self._program.write_u64(self._vmctx + offset, value)

    def _linear_memory(self) -> _LinearMemory:
        for export in self._module.module.exports:
            if export.name == "memory" and export.kind is bytecode.ExternKind.MEMORY:
                address = self._vmctx + self._layout.memory(export.index)
                return _LinearMemory(self._program, address)
        raise TypeError("the module exports no memory named 'memory', which WASI needs")

    # ---- Publishing and calling -------------------------------------------------------------------------------------------------

    def _publish(self, image: CodeImage) -> int:
        """The core's library validates and writes an image; its address."""
        program, put = self._program, self._program.put
        indices = {name: index for index, name in enumerate(self._gates)}
        entries = array.array("I", sorted(set(image.entries.values())))
        struct_address = put(
            _IMAGE.pack(
                image.target.arch.value,
                len(image.code),
                len(image.rodata),
                len(entries),
                len(image.relocations),
                len(image.jump_tables),
                put(image.code),
                put(image.rodata),
                put(entries.tobytes()),
                put(core.relocation_bytes(image.relocations, indices)),
                put(core.jump_table_bytes(image.jump_tables)),
            )
        )
        answer = self._answer
        status = program.call(
            "il_publish", self._arena, struct_address, answer, answer + 8, answer + 16
        )
        if status == _REJECTED:
            rule, offset = struct.unpack("<II", program.read(answer + 16, 8))
            detail = f"the modelled core rejects our code: V{rule:03} at {offset:#x}"
            raise InternalError(stage="publish", detail=detail)
        self._check(status)
        return program.read_u64(answer + 8)

    def _call(self, funcref: int) -> None:
        """A function without parameters and results."""
        program = self._program
        registers, trap = program.allocate(_REGISTERS.size), program.allocate(_TRAP_BYTES)
        status = program.call("il_call", self._exec, funcref, registers, trap)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if status == _TRAPPED:
            (kind,) = struct.unpack("<I", program.read(trap + 8, 4))
            fault = program.last(OutcomeKind.SIGNAL)
            if kind == _FAULT and fault is not None and fault.rule:
                raise StoppedError(fault)
            text = program.text(program.call("il_trap_text", kind))
            raise Trap(text, code=kind, function="")
        self._check(status)

    def _host_call(self, arguments: tuple[int, ...]) -> int:
        """exec->host_call(vmctx, import_index, registers): an import is called."""
        _, index, at = arguments[:3]
        words = _REGISTERS.unpack(self._program.read(at, _REGISTERS.size))
        function = self._host_functions[index & _MASK_32]
        count = len(function.type.params)
        on_stack = max(0, count - 7)  # behind vmctx in x0
        stack = struct.unpack(f"<{on_stack}Q", self._program.read(words[16], 8 * on_stack))
        values = [*words[1 : 1 + count - on_stack], *stack]
        try:
            result = function.call(*values)
        except Exception as error:  # noqa: BLE001  (raised again when the call has ended)
            self._error = error
            return _HOST_ERROR
        if isinstance(result, int):
            self._program.write_u64(at, result)
        return 0

    def _compile(self, arguments: tuple[int, ...]) -> int:
        """exec->compile(vmctx, func_index, &address): a function is called for the first time."""
        _, index, address_out = arguments[:3]
        try:
            address = self._build(index & _MASK_32)
        except StoppedError:
            raise
        except Exception as error:  # noqa: BLE001  (raised again when the call has ended)
            self._error = error
            return _HOST_ERROR
        self._set(self._layout.function(index & _MASK_32), address)
        self._program.write_u64(address_out, address)
        return 0

    def _build(self, index: int) -> int:
        if index not in self._addresses:
            ir = pipeline.lower_function(self._module, self._layout, index, AARCH64_MACOS)
            image = pipeline.build_function(self._compiler, ir, self._gates, lambda: False)
            base = self._publish(image)
            self._addresses[index] = base + next(iter(image.entries.values()))
        return self._addresses[index]

    def _check(self, status: int) -> None:
        """A call of the core that fails has met a refusal of the Mac, or is a bug of ours."""
        if status == _OK:
            return
        refusal = self._program.last(OutcomeKind.ERRNO)
        if refusal is not None:
            raise StoppedError(refusal)
        detail = f"the modelled core answers {status}"
        raise InternalError(stage="mac", detail=detail)


class _LinearMemory:
    """What WASI sees of a memory of the modelled program."""

    def __init__(self, program: Program, address: int) -> None:
        self._program = program
        self._address = address

    def view(self) -> memoryview:
        """A writable view of all current bytes: they lie in one memory object."""
        base = self._program.read_u64(self._address)
        length = self._program.read_u64(self._address + _MEMORY_WORD)
        if not length:
            return memoryview(bytearray())
        host = self._program.host_address(base)
        return memoryview((ctypes.c_char * length).from_address(host)).cast("B")


def _placeholder(size: int) -> CodeImage:
    """A function of a size that the validator accepts: it traps."""
    code = link.closed_code(AARCH64_MACOS)
    return CodeImage(
        target=AARCH64_MACOS, code=code * (size // len(code) + 1), entries={"f": CodeOffset(0)}
    )
