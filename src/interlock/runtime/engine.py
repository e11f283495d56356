"""Engine and Module: one engine owns one arena of code memory, one execution context and one compiler process."""

from __future__ import annotations

import bisect
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Self

from interlock import bytecode, codegen, core, limits, link
from interlock.artifacts import CodeImage, CodeOffset
from interlock.errors import ClosedError, InterlockError, Trap, UnsupportedError
from interlock.runtime import pipeline
from interlock.runtime.code_cache import CodeCache
from interlock.runtime.config import Config, Protection
from interlock.runtime.idle import run_waiting, when_idle
from interlock.target import Target, host_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from interlock.bytecode import FuncType, ValidatedModule
    from interlock.runtime.externals import Global, Memory, Table
    from interlock.runtime.instance import Instance
    from interlock.runtime.wasi import Wasi

    Extern = Callable[..., object] | Memory | Table | Global | int | float
    Imports = Mapping[str, Mapping[str, Extern]]


class Engine:
    """Compiles, publishes and instantiates modules; closing it retires all their code.

    In a forked process it goes on: what is published runs, and what is compiled there is published in that process's own region.
    Raises `CodeMemoryError` when this system cannot hold code as `Protection.SEALED` demands, and
    `UnsupportedError` on a machine for which no code can be generated.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config if config is not None else Config()
        self.target = _require_host_target()
        self._compiler = codegen.Compiler(self.target)
        if not self.config.cache:
            # First of all: it loads LLVM while we do the rest.
            self._compiler.prestart()
        core.open_region()
        self._gates = core.gate_addresses()
        self._arena = core.Arena(
            self._gates, code_bytes_max=self.config.code_bytes_max, policy=self.config.policy
        )
        self._exec = core.ExecContext(
            stack_bytes_max=self.config.stack_bytes_max, shared=self.config.release_gil
        )
        self._code_cache = CodeCache(self.target, tuple(self._gates))
        self._lock = threading.RLock()
        self._modules: list[Module] = []
        self._closed_code = _closed_code()
        self._is_closed = False
        _engines.add(self)

    @property
    def protection(self) -> Protection:
        """Who can write published code, and how the mapping is held."""
        from interlock.runtime.protection import protection_of

        return protection_of(core.describe_region())

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The functions of the core which this engine's code may call."""
        return tuple(self._gates)

    def compile_wasm(self, data: bytes, *, file: str = "") -> Module:
        """Decode and validate a binary module; its functions are compiled when first called.

        Raises `WasmMalformedError`, `WasmInvalidError` or `UnsupportedError`, each with its place.
        """
        self._require_open()
        return self.adopt(pipeline.read_wasm(bytes(data), file=file), file=file)

    def compile_wat(self, text: str, *, file: str = "") -> Module:
        """Parse and validate a module in the text format; otherwise as `compile_wasm`."""
        self._require_open()
        return self.adopt(pipeline.read_wat(text, file=file), file=file)

    def adopt(
        self, module: ValidatedModule, *, file: str = "", is_cached: bool | None = None
    ) -> Module:
        """Take a validated module into this engine; its code is cached as the engine's configuration says, or as asked."""
        self._require_open()
        wanted = self.config.cache if is_cached is None else is_cached
        adopted = Module(self, module, file=file, cache=self._code_cache if wanted else None)
        self._modules.append(adopted)
        return adopted

    def instantiate(
        self, module: Module, imports: Imports | None = None, *, wasi: Wasi | None = None
    ) -> Instance:
        """Make an instance: link imports, initialise memories, tables and globals, run the start function.

        `imports` maps module name and field name to callables, exports of other instances, or numbers for
        immutable globals.  `wasi` adds `wasi_snapshot_preview1`.  Raises `WasmUnlinkableError` for a missing
        or ill-typed import and `Trap` when an active segment does not fit or the start function traps.

        Fault handlers and the one for Ctrl-C are installed here if they are not (or no longer) ours: after
        `signal.signal(signal.SIGINT, …)` Python alone hears of Ctrl-C, when guest code returns, until the next call.
        """
        from interlock.runtime.instance import Instance

        self._require_open()
        module.require_open()
        run_waiting()
        core.install_traps()
        return Instance(module, imports if imports is not None else {}, wasi=wasi)

    def close(self) -> None:
        """Close all instances, retire all code and end the compiler process.  Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for module in list(self._modules):
                module.close()
            self._compiler.close()
            self._when_left(self._arena.close)

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _when_left(self, action: Callable[[], None]) -> None:
        """Poison code: at once where the GIL keeps other threads out of it, else when no thread is inside."""
        if self.config.release_gil:
            when_idle(action)
        else:
            action()

    def _function_name_at(self, pc: int) -> str:
        """The function of any of its modules whose published code holds this address; empty for none."""
        for module in self._modules:
            index = module.function_at(pc)
            if index is not None:
                return module.function_name(index)
        return ""

    def _require_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the engine is closed")


class Module:
    """A validated module whose machine code is compiled and published function by function, when first called."""

    def __init__(
        self, engine: Engine, validated: ValidatedModule, *, file: str, cache: CodeCache | None
    ) -> None:
        self.engine = engine
        self._cache = cache
        self.validated = validated
        self.file = file
        self.layout = codegen.InstanceLayout(validated)
        self._instances: weakref.WeakSet[Instance] = weakref.WeakSet()
        self._addresses: dict[int, int] = {}
        self._stub_addresses: dict[int, int] | None = None
        self._starts: list[tuple[int, int, int]] = []  # (start, end, function index), ascending
        self._codes: list[core.PublishedCode] = []
        self._is_closed = False

    @property
    def defined_function_indices(self) -> range:
        """Indices of the functions that the module itself defines."""
        first = self.validated.imported_function_count
        return range(first, first + len(self.validated.module.functions))

    def function_name(self, index: int) -> str:
        """The function's name from the name section, its export name, or its index."""
        name = self.validated.module.function_names.get(index)
        if name is not None:
            return name
        for export in self.validated.module.exports:
            if export.kind is bytecode.ExternKind.FUNC and export.index == index:
                return export.name
        return f"func[{index}]"

    def build(self, index: int) -> CodeImage:
        """Compile and link one defined function: machine code that is still bytes.

        Raises `CompileError`.
        """
        return self._build(self._lower(index))

    def _lower(self, index: int) -> str:
        return pipeline.lower_function(self.validated, self.layout, index, self.engine.target)

    def _build(self, ir: str) -> CodeImage:
        with self.engine._lock:
            self.require_open()
            return pipeline.build_function(
                self.engine._compiler, ir, self.engine.gate_names, core.is_interrupted
            )

    def inspect(self, index: int, *, stage: str) -> str:
        """LLVM IR of one function as it was lowered (``llvm``) or after LLVM's optimiser (``llvm-opt``)."""
        ir = self._lower(index)
        if stage == "llvm":
            return ir
        with self.engine._lock:
            self.require_open()
            return self.engine._compiler.optimise(ir)

    def publish(self, index: int, image: CodeImage) -> int:
        """Have the core validate and write a function's image; its address.

        Raises `CodeRejectedError`, and then nothing was written.
        """
        with self.engine._lock:
            published = self.engine._arena.publish(image)
            self._codes.append(published)
            address = published.address(next(iter(image.entries)))
            self._addresses[index] = address
            start = published.base
            bisect.insort(self._starts, (start, start + len(image.code), index))
            return address

    def address(self, index: int) -> int:
        """The address of a function, compiled and published now if it was not yet."""
        with self.engine._lock:
            found = self._addresses.get(index)
            if found is not None:
                return found
            ir = self._lower(index)
            return self._publish_cached(index, ir) or self._publish_built(index, ir)

    def _publish_cached(self, index: int, ir: str) -> int | None:
        """The address of a function whose image the cache holds; what the core refuses is removed from there."""
        image = None if self._cache is None else self._cache.get(ir)
        if self._cache is None or image is None:
            return None
        try:
            return self.publish(index, image)
        except InterlockError:
            self._cache.discard(ir)
            return None

    def _publish_built(self, index: int, ir: str) -> int:
        image = self._build(ir)
        address = self.publish(index, image)
        if self._cache is not None:
            self._cache.put(ir, image)
        return address

    def current_address(self, index: int) -> int:
        """The address of a function if it is published, else of its stub."""
        found = self._addresses.get(index)
        return found if found is not None else self.stub_address(index)

    def stub_address(self, index: int) -> int:
        """The stub which calls the host (imports) or compiles the function (definitions)."""
        with self.engine._lock:
            if self._stub_addresses is None:
                self._stub_addresses = self._publish_stubs()
            return self._stub_addresses[index]

    def function_at(self, pc: int) -> int | None:
        """The index of the function whose published code holds this address."""
        at = bisect.bisect_right(self._starts, (pc, 1 << 64, 0)) - 1
        if at < 0:
            return None
        start, end, index = self._starts[at]
        return index if start <= pc <= end else None

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._is_closed:
            raise ClosedError("the module is closed")

    def close(self) -> None:
        """Close the module's instances and retire its code.  Idempotent."""
        with self.engine._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self in self.engine._modules:
                self.engine._modules.remove(self)
            for instance in list(self._instances):
                instance.close()
            for code in self._codes:
                self.engine._when_left(code.retire)
            self._codes.clear()
            self._addresses.clear()
            self._stub_addresses = None

    def _publish_stubs(self) -> dict[int, int]:
        imported = range(self.validated.imported_function_count)
        addresses: dict[int, int] = {}
        for image in link.stub_images(self.engine.target, imported, self.defined_function_indices):
            published = self.engine._arena.publish(image)
            self._codes.append(published)
            for name in image.entries:
                addresses[int(name.removeprefix("f"))] = published.address(name)
        return addresses


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _after_fork() -> None:
    """Another thread, which the child does not have, may have held the lock."""
    for engine in _engines:
        engine._lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)

_type_ids: dict[FuncType, int] = {}
_next_type_id = itertools.count(1)


def type_id(func_type: FuncType) -> int:
    """The process-wide number of a function type; equal types have equal numbers, from 1."""
    found = _type_ids.get(func_type)
    return found if found is not None else _type_ids.setdefault(func_type, next(_next_type_id))


def make_trap(kind: int, function: str) -> Trap:
    """The exception for a trap kind of the core."""
    return Trap(core.trap_text(kind), code=kind, function=function)


# The arena stays open as long as the process: nobody can know which tables still hold the address.
_closed_codes: list[tuple[core.Arena, int]] = []


def _closed_code() -> int:
    """The address that functions of closed instances have: code which traps, and which is never retired."""
    if not _closed_codes:
        target = _require_host_target()
        image = CodeImage(
            target=target, code=link.closed_code(target), entries={"closed": CodeOffset(0)}
        )
        arena = core.Arena({}, code_bytes_max=limits.SLOT_GRAIN_BYTES)
        _closed_codes.append((arena, arena.publish(image).address("closed")))
    return _closed_codes[0][1]


def _require_host_target() -> Target:
    target = host_target()
    if target is None:
        raise UnsupportedError(
            "code generation for this machine (this version needs Linux or macOS on x86-64, level x86-64-v2, or on AArch64)"
        )
    return target
