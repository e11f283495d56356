"""A program on the modelled Mac that links the core's library, played by us: we call the library's functions, and it calls ours.

What a real program does is done in its order: the library is mapped and its list found, the system reads the lists, initialisers run,
and, with freeze-late, the program freezes.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.contract import OutcomeKind, Process
from interlock.contract.allow_list import Image
from interlock.contract.entitlements import JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.memory_map import Protection
from interlock.contract.outcome import OK, Outcome
from interlock.errors import CodeMemoryError, InterlockError
from interlock.mac import libsystem, loader
from interlock.mac.code import COPY
from interlock.mac.kernel import GuestThread, Mac, Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interlock.contract import Profile

_HEAP_BYTES = 64 << 20
_BODIES_MAX = 64
LIBRARY = "libinterlock.dylib"


def library_bytes() -> bytes:
    """The core's library for Apple silicon, as it was built with this package."""
    path = Path(__file__).parent / "_native" / LIBRARY
    try:
        return path.read_bytes()
    except FileNotFoundError:
        message = f"{path} (install the package, or run: python core/build.py {path.parent} aarch64-macos)"
        raise CodeMemoryError(operation=message, status="not found") from None


class StoppedError(InterlockError):
    """The Mac has ended the program, or refused what it cannot go on without."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome

    def __str__(self) -> str:
        """`kill SIGTRAP C8 "BUG IN …"`."""
        return str(self.outcome)


class Program:
    """The program, its one heap, and the functions of the library by name.

    `relist` changes what the library's section of callbacks holds, as a mistake in building it would; `is_frozen`: whether the program
    freezes where it has to; `is_synchronising`: whether the library's calls of `sys_icache_invalidate` do anything.
    """

    def __init__(
        self,
        profile: Profile,
        library: bytes,
        *,
        relist: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda words: words,
        is_frozen: bool = True,
        is_synchronising: bool = True,
        has_copying_callback: bool = False,
        switches: Mapping[str, str] | None = None,
    ) -> None:
        self.mac = Mac(profile)
        self.thread, _ = self.mac.start(switches=switches or {})
        self._bodies: dict[int, Callable[[tuple[int, ...]], int]] = {}
        self._make_heap()
        if has_copying_callback:
            own = Image(name="program", words=(self.copying_callback, 0))
            self.thread.process.model.images.append(own)
        if not is_synchronising:
            self.thread.process.symbols["_sys_icache_invalidate"] = libsystem.NOTHING_STUB
        macho = loader.parse(library, file=LIBRARY)
        self.library = loader.load(self.mac, self.thread, macho, name=LIBRARY)
        words = relist(self.library.image.words)
        image = replace(self.library.image, words=words, size_bytes=None)
        model = self.thread.process.model
        model.images.append(image)
        self._note(f"{LIBRARY}: {_describe(image)}", OK)
        self._require(model.start())
        for initialiser in self.library.initialisers:
            self.call_address(initialiser)
        is_late = profile.entitlements.has(JIT_WRITE_ALLOWLIST_FREEZE_LATE)
        if is_late and is_frozen:
            self.call_system("pthread_jit_write_freeze_callbacks_np")

    @property
    def process(self) -> Process:
        """What the contract knows of it."""
        return self.thread.process.model

    @property
    def copying_callback(self) -> int:
        """A callback that copies whatever its context says, as rule C6 warns of."""
        return self._text

    @property
    def system_call(self) -> bytes:
        """A function that calls the system, which no validator lets pass."""
        return libsystem.calling("_getpid")

    def last(self, kind: OutcomeKind) -> Outcome | None:
        """The latest of a kind that the Mac answered."""
        for event in reversed(self.mac.timeline):
            if event.outcome.kind is kind:
                return event.outcome
        return None

    # ---- Memory -----------------------------------------------------------------------------------------------------------------

    def _make_heap(self) -> None:
        mac, model = self.mac, self.process
        rights = Protection.READ | Protection.WRITE
        self._heap = mac.spaces.map_image(model, _HEAP_BYTES, protection=rights)
        self._heap_end = self._heap + _HEAP_BYTES
        stub = mac.read(self.thread, libsystem.HOST_BODY_STUB, libsystem.STUB_BYTES)
        code = COPY + stub * _BODIES_MAX
        rights = Protection.READ | Protection.EXECUTE
        self._text = mac.spaces.map_image(model, len(code), protection=rights)
        mac.spaces.write(model, self._text, code)
        mac.spaces.synchronise(model, self._text, len(code))

    def allocate(self, size: int) -> int:
        """Zeroed memory, as long as the program runs; aligned to 16 bytes."""
        address, self._heap = self._heap, self._heap + -(-size // 16) * 16
        if self._heap > self._heap_end:
            raise MemoryError("the heap of the modelled program")
        return address

    def put(self, data: bytes) -> int:
        """Bytes in memory of their own."""
        address = self.allocate(max(1, len(data)))
        self.write(address, data)
        return address

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the program's memory."""
        return self.mac.read(self.thread, address, size)

    def write(self, address: int, data: bytes) -> None:
        """Store bytes."""
        self.mac.write(self.thread, address, data)

    def read_u64(self, address: int) -> int:
        """A word."""
        (value,) = struct.unpack("<Q", self.read(address, 8))
        return int(value)

    def write_u64(self, address: int, value: int) -> None:
        """Store a word."""
        self.write(address, value.to_bytes(8, "little"))

    def host_address(self, address: int) -> int:
        """Where we see the data at an address, and what lies behind it in the same memory object."""
        return self.mac.spaces.host_address(self.process, address)

    def text(self, address: int) -> str:
        """A string that ends with NUL; empty for NULL."""
        found = bytearray()
        while address and (byte := self.read(address + len(found), 1)) != b"\0":
            found += byte
        return found.decode()

    # ---- Calls ------------------------------------------------------------------------------------------------------------------

    def function(self, body: Callable[[tuple[int, ...]], int]) -> int:
        """The address of a function of the program whose body we play: it gets x0 to x7 and gives x0."""
        address = self._text + len(COPY) + libsystem.STUB_BYTES * len(self._bodies)
        self._bodies[address] = body
        return address

    def call(self, name: str, *arguments: int) -> int:
        """Call a function that the library exports.  Raises `StoppedError` if the Mac ends the program meanwhile."""
        return self.call_address(self.library.exports[f"_{name}"], *arguments)

    def call_system(self, name: str, *arguments: int) -> int:
        """Call a function of libSystem."""
        return self.call_address(self.thread.process.symbols[f"_{name}"], *arguments)

    def call_address(self, address: int, *arguments: int) -> int:
        """Call a function by its address; functions of the program that it calls are played."""
        pause = self.mac.call(self.thread, address, *arguments)
        while pause is Pause.HOST_BODY:
            pause = self.mac.return_from_body(self.thread, self._play_body())
        if pause is not Pause.RETURNED:
            raise StoppedError(self.thread.outcome)
        return self.thread.result

    def _play_body(self) -> int:
        registers = self.mac.registers(self.thread)
        body = self._bodies[registers.pc - libsystem.STUB_CALL_BYTES]
        return body(registers.arguments)

    def fork(self) -> GuestThread:
        """The C library's `fork`: with the handlers of `pthread_atfork`; the child's thread, in which `call` goes on after `become`."""
        handlers = list(self.thread.process.fork_handlers)
        for prepare, _, _ in reversed(handlers):
            self.call_address(prepare)
        child = self.mac.fork(self.thread, "child")
        for _, in_parent, _ in handlers:
            self.call_address(in_parent)
        parent, self.thread = self.thread, child
        for _, _, in_child in handlers:
            self.call_address(in_child)
        self.thread = parent
        return child

    def _require(self, outcome: Outcome) -> None:
        if outcome.kind is not OutcomeKind.OK:
            self._note("start", outcome)
            raise StoppedError(outcome)

    def _note(self, what: str, outcome: Outcome) -> None:
        self.mac.note(self.thread, what, outcome)


def _describe(image: Image) -> str:
    listed = ", ".join(f"{each:#x}" for each in image.listed) or "no callback"
    return f"{image.section} lists {listed}"
