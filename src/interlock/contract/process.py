"""A modelled process: memory, threads, the thread library's list, signals, fork.  Every answer names its rule.

The rules are the table's: this file decides when one applies, and takes errno, signal and message from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.contract.allow_list import AllowList, Image, ListState
from interlock.contract.entitlements import JIT_WRITE_ALLOWLIST_FREEZE_LATE
from interlock.contract.memory import MAP_FAILED, Memory
from interlock.contract.memory_map import CELL_BYTES, Entry, Origin, Protection
from interlock.contract.outcome import OK, Outcome, OutcomeKind, Rulebook, ok
from interlock.contract.profile import Chip, MacosVersion
from interlock.contract.switches import switch_settings
from interlock.contract.threads import JitState, Thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interlock.contract.profile import Profile

PROTECT = "pthread_jit_write_protect_np"
SUPPORTED = "pthread_jit_write_protect_supported_np"
CALLBACK = "pthread_jit_write_with_callback_np"
FREEZE = "pthread_jit_write_freeze_callbacks_np"
INVALIDATE = "sys_icache_invalidate"
# Since when a function exists, and the rule that says so.
SYMBOLS = {
    PROTECT: (MacosVersion(11), "T10"),
    SUPPORTED: (MacosVersion(11), "T10"),
    CALLBACK: (MacosVersion(11, 4), "C24"),
    FREEZE: (MacosVersion(12, 1), "C24"),
    INVALIDATE: (MacosVersion(10, 5), "I1"),
}
_NEAR_MAP_FAILED = MAP_FAILED - (1 << 32)


class Process:
    """One process of a profile.  After a kill, or a signal that nothing caught, `is_dead` is set."""

    def __init__(
        self,
        profile: Profile,
        *,
        images: Iterable[Image] = (),
        switches: Mapping[str, str] | None = None,
    ) -> None:
        self.profile = profile
        self.book = Rulebook(profile, switch_settings(switches or {}))
        self.memory = Memory(self.book)
        self.images = list(images)
        self._linked = tuple(self.images)
        self.list = AllowList()
        self.handlers: dict[str, str] = {}
        self.is_dead = False
        self._ran: dict[tuple[str, int], int] = {}  # what a thread last ran at an address (I6)

    @property
    def _is_native(self) -> bool:
        return self.profile.chip is Chip.APPLE_SILICON

    def start(self) -> Outcome:
        """What runs before `main`: the list of the images that are there is read, unless freezing is late (C18)."""
        if self._has_list():
            self.list.state = ListState.OPEN
            is_late = self.profile.entitlements.has(JIT_WRITE_ALLOWLIST_FREEZE_LATE)
            if not is_late and not self.list.freeze(self.images):
                return self._end(self.book.kill("C15"))
        return OK

    def _has_list(self) -> bool:
        if not self.book.holds("C8"):
            return False
        return self.profile.is_hardened or self.book.is_set("unhardened-list", "honoured")

    # ---- The thread switch and the callback call ------------------------------------------------------------------------------

    def write_protect(self, thread: Thread, argument: int) -> Outcome:
        """`pthread_jit_write_protect_np`."""
        missing = self.missing(thread, PROTECT)
        if missing or not self._is_native:
            return missing or OK
        if self.book.holds("T14") and self.book.is_set("toggle-read-back", "fails"):
            return self.raise_fault(thread, self.book.signal("T14", "SIGTRAP"))
        if self.list.state is not ListState.OFF:
            # The toggle happens first; RW is undone before the crash.
            thread.toggle(is_protected=True)
            return self._end(self.book.kill("C9"))
        thread.toggle(is_protected=argument != 0)
        return OK

    def write_protect_supported(self, thread: Thread) -> Outcome:
        """`pthread_jit_write_protect_supported_np` (T10)."""
        return self.missing(thread, SUPPORTED) or ok(int(self._is_native))

    def enter_callback(self, thread: Thread, callback: int) -> Outcome:
        """The first half of `pthread_jit_write_with_callback_np`: up to the callback's first instruction."""
        missing = self.missing(thread, CALLBACK)
        if missing is not None:
            return missing
        if not self._is_native:
            thread.callbacks += 1
            return OK
        thread.enter_callback()
        if self.list.state is ListState.OPEN:
            return self._end(self.book.kill("F1"))  # leaves RW behind, unlike C8
        if self.list.state is ListState.FROZEN and not self.list.has(callback):
            thread.refuse_callback()
            late = "F5" if self.book.holds("F5") else "C18"
            reason = self.list.reason_not_listed(callback, self.images, late_rule=late)
            return self._end(self.book.kill(reason))
        return OK

    def return_from_callback(self, thread: Thread, value: int) -> Outcome:
        """The second half: the callback's result is passed through (C1)."""
        if self._is_native:
            thread.return_from_callback()
        else:
            thread.callbacks -= 1
        return ok(value)

    def escape_from_callback(self, thread: Thread) -> Outcome:
        """longjmp, or an exception that passes through the call (C4)."""
        if self._is_native:
            thread.escape_from_callback()
        else:
            thread.callbacks -= 1
        return OK

    def freeze(self, thread: Thread) -> Outcome:
        """`pthread_jit_write_freeze_callbacks_np` (F1 to F4)."""
        missing = self.missing(thread, FREEZE)
        if missing or not self._is_native:
            return missing or OK
        if self.book.holds("F3") or self.list.state is ListState.OFF:
            return self._end(self.book.kill("F3"))
        if self.list.state is ListState.FROZEN:
            return self._end(self.book.kill("F2"))
        return OK if self.list.freeze(self.images) else self._end(self.book.kill("C15"))

    def load_image(self, image: Image) -> Outcome:
        """`dlopen`: never an error of the list (F5)."""
        self.images.append(image)
        return OK

    def symbol(self, name: str) -> Outcome:
        """`dlsym`: 1 where the function exists (T10, C24)."""
        since, rule_id = SYMBOLS[name]
        is_there = self.profile.macos >= since
        return ok(int(is_there), rule="" if is_there else rule_id)

    def missing(self, thread: Thread, name: str) -> Outcome | None:
        """A weakly linked function that does not exist is NULL, and the call jumps there."""
        since, rule_id = SYMBOLS[name]
        if self.profile.macos >= since:
            return None
        return self.raise_fault(thread, self.book.signal(rule_id, "SIGSEGV"))

    # ---- Memory ---------------------------------------------------------------------------------------------------------------

    def store(self, thread: Thread, address: int, size: int, value: int) -> Outcome:
        """Write a function that returns `value` into each cell of the range, as far as no page forbids it."""
        for at in range(address, address + size, CELL_BYTES):
            outcome = self.try_store(thread, at, is_first=at == address)
            if outcome is not None:
                return outcome
            entry = self.memory.map.find(at)
            if entry is not None:
                self._put(entry, at, value)
        return OK

    def try_store(self, thread: Thread, address: int, *, is_first: bool = True) -> Outcome | None:
        """What a store comes to that cannot be made; None if it can, perhaps since a handler has toggled.

        `is_first`: whether it is the first of a run of stores.
        """
        fault = self.store_fault(thread, address, is_first=is_first)
        return None if fault is None else self._heal(thread, fault, address)

    def load(self, thread: Thread, address: int) -> Outcome:
        """Read one cell of the data view."""
        fault = self.load_fault(address)
        if fault is not None:
            return self.raise_fault(thread, fault)
        entry = self.memory.map.find(address)
        return ok(0 if entry is None else entry.contents.data.get(entry.offset_of(address), 0))

    def kernel_store(self, thread: Thread, address: int, value: int) -> Outcome:
        """`read` into this memory (P8)."""
        entry = self.memory.map.find(address)
        if entry is None or Protection.WRITE not in entry.protection:
            return Outcome(kind=OutcomeKind.ERRNO, name="EFAULT")
        if self._is_native and entry.is_switched:
            follows_state = self.book.is_set("kernel-write", "follows-state")
            if not follows_state or thread.state is not JitState.RW:
                return self.book.errno("P8")
        self._put(entry, address, value)
        return OK

    def invalidate(self, thread: Thread, address: int, size: int) -> Outcome:
        """`sys_icache_invalidate`: the instruction view takes over the range from the data view (I1)."""
        first = -(-address // CELL_BYTES) * CELL_BYTES
        for at in range(first, address + size - CELL_BYTES + 1, CELL_BYTES):
            entry = self.memory.map.find(at)
            if entry is not None:
                offset = entry.offset_of(at)
                entry.contents.instructions[offset] = entry.contents.data.get(offset, 0)
        return self.synchronise(thread)

    def synchronise(self, thread: Thread) -> Outcome:
        """An ISB of this thread (I6)."""
        self._ran = {key: value for key, value in self._ran.items() if key[0] != thread.name}
        return OK

    def flush_by_hand(self, thread: Thread) -> Outcome:
        """Cache maintenance that reads CTR_EL0 (I3); other chips have no such register."""
        return self.raise_fault(thread, self.book.signal("I3", "SIGILL")) if self._is_native else OK

    def execute(self, thread: Thread, address: int) -> Outcome:
        """Call the function at `address`; its value is what the code that ran returns."""
        fault = self.fetch_fault(thread, address)
        if fault is not None:
            return self.raise_fault(thread, fault)
        entry = self.memory.map.find(address)
        return OK if entry is None else self._run(thread, entry, address)

    def make_closure(self) -> Outcome:
        """What importing ctypes needs (K10)."""
        if self.book.holds("K10") and self.book.is_set("closures", "fail"):
            return self.book.errno("K10")
        return OK

    def _put(self, entry: Entry, address: int, value: int) -> None:
        entry.contents.data[entry.offset_of(address)] = value
        if not self._is_native:
            entry.contents.instructions[entry.offset_of(address)] = value

    def _run(self, thread: Thread, entry: Entry, address: int) -> Outcome:
        offset = entry.offset_of(address)
        written = entry.contents.data.get(offset, 0)
        cached = entry.contents.instructions.get(offset, 0)
        key = (thread.name, address)
        ran = self._ran.get(key, cached) if self.needs_barriers else cached
        rule_id = self.stale_rule(address, ran=ran, cached=cached, written=written)
        if not ran:
            return self.undefined_instruction(thread, rule_id)
        self._ran[key] = ran
        return ok(ran, rule=rule_id)

    @property
    def needs_barriers(self) -> bool:
        """Whether a thread that ran older code at an address goes on with it until an ISB of its own (I6)."""
        return self._is_native and self.book.is_set("context-synchronisation", "needed")

    def stale_rule(self, address: int, *, ran: int, cached: int, written: int) -> str:
        """The rule which explains that a thread ran other bytes than those in memory; empty if it did not."""
        if ran != cached:
            return "I6"
        if cached == written:
            return ""
        # With the thread switch nothing else could have done it; without, mprotect looks as if it had.
        entry = self.memory.map.find(address)
        return "I1" if not cached or entry is None or entry.is_switched else "I5"

    def undefined_instruction(self, thread: Thread, rule_id: str = "") -> Outcome:
        """What ran is no instruction; `rule_id` says why if a rule does."""
        if rule_id:
            return self.raise_fault(thread, self.book.signal(rule_id, "SIGILL"))
        return self.raise_fault(thread, Outcome(kind=OutcomeKind.SIGNAL, name="SIGILL"))

    def load_fault(self, address: int) -> Outcome | None:
        """Why a load cannot be made; None if it can.  No thread's state forbids one."""
        entry = self.memory.map.find(address)
        if entry is None:
            return self._unmapped(address)
        return None if Protection.READ in entry.protection else self.book.signal("X1")

    def store_fault(self, thread: Thread, address: int, *, is_first: bool = True) -> Outcome | None:
        """Why a store cannot be made as things are; None if it can."""
        entry = self.memory.map.find(address)
        if entry is None:
            return self._unmapped(address)
        if self._is_native and entry.is_switched:
            return None if thread.state is JitState.RW else self.book.signal(thread.cause)
        if Protection.WRITE in entry.protection:
            return None
        if entry.origin is Origin.OVERLAY:
            return self.book.signal("A13")
        is_left_rx = entry.is_jit and Protection.EXECUTE in entry.protection
        if is_left_rx and thread.state is JitState.RW:
            return self.book.signal("A11")
        return self.book.signal("X1" if is_first else "A12")

    def fetch_fault(self, thread: Thread, address: int) -> Outcome | None:
        """Why an instruction cannot be fetched; None if it can."""
        entry = self.memory.map.find(address)
        if entry is None:
            return self._unmapped(address)
        if Protection.EXECUTE not in entry.protection:
            return self._execute_fault(self._not_executable(entry))
        if entry.is_switched and thread.state is not JitState.RX:  # always RX on other chips
            return self._execute_fault(self.book.signal(thread.cause))
        is_signed = entry.origin is Origin.IMAGE
        if entry.is_jit or is_signed or not self.profile.is_enforcing_signatures:
            return None
        if entry.origin is Origin.ALIAS and self.book.is_set("double-mapping", "allowed"):
            return None
        rule_of = {Origin.OVERLAY: "A13", Origin.FILE: "A14", Origin.ALIAS: "P9"}
        return self.book.kill(rule_of.get(entry.origin, "X2"))

    def _not_executable(self, entry: Entry) -> Outcome:
        if entry.origin is Origin.OVERLAY:
            return self.book.signal("A13")
        is_left_rw = self._is_native and entry.is_jit and Protection.WRITE in entry.protection
        return self.book.signal("A11" if is_left_rw else "X1")

    def _execute_fault(self, fault: Outcome) -> Outcome:
        if self.book.holds("X3") and self.book.is_set("monitor", "on"):
            return self.book.kill("X3")
        return fault

    def _unmapped(self, address: int) -> Outcome:
        if address >= _NEAR_MAP_FAILED:
            return self.book.signal("A9", "SIGSEGV")
        if any(start <= address < end for start, end in self.memory.lost):
            return self.book.signal("K1", "SIGSEGV")
        return self.book.signal("X1", "SIGSEGV")

    # ---- Signals, threads, processes ------------------------------------------------------------------------------------------

    def set_handler(self, signal: str, action: str) -> Outcome:
        """`sigaction`: catch, or heal (the handler toggles to RW and returns to the store)."""
        self.handlers[signal] = action
        return OK

    def deliver(self, thread: Thread, signal: str) -> Outcome:
        """A signal arrives from outside and its handler starts (T12)."""
        if signal not in self.handlers:
            return self._end(Outcome(kind=OutcomeKind.SIGNAL, name=signal))
        self.enter_handler(thread)
        return OK

    def enter_handler(self, thread: Thread) -> None:
        """A handler starts (T12)."""
        thread.enter_handler(keeps_state=self.book.is_set("handler-state", "kept"))

    def leave_handler(self, thread: Thread) -> Outcome:
        """The handler returns."""
        thread.leave_handler(keeps_change=self.book.is_set("handler-change", "survives"))
        return OK

    def create_thread(self, name: str) -> Thread:
        """It starts in RX, whatever its creator's state (T3)."""
        thread = Thread(name=name, cause="T3")
        self.synchronise(thread)  # it has run nothing yet, whoever had its name before
        return thread

    def fork(self, thread: Thread, name: str) -> tuple[Process, Thread]:
        """The child, with one thread: memory as K1 says, the state as the switch of K3 does, the same list (C23)."""
        child = Process(self.profile, images=self._linked)
        child.images = list(self.images)
        child.book = self.book
        child.memory = self.memory.fork(self.book)
        child.list = self.list.copy()
        child.handlers = dict(self.handlers)
        only = Thread(name=name)
        if self._is_native:
            if self.book.is_set("fork-state", "unset"):
                only.state, only.cause = JitState.UNSET, "K3"
            elif self.book.is_set("fork-state", "inherited"):
                only.state, only.cause = thread.state, thread.cause
                only.windows, only.callbacks = thread.windows, thread.callbacks
        return child, only

    def exec(self) -> Outcome:
        """Everything starts anew (K4)."""
        self.memory = Memory(self.book)
        self.list = AllowList()
        self.images = list(self._linked)
        self.handlers.clear()
        self._ran.clear()
        return self.start()

    def _heal(self, thread: Thread, fault: Outcome, address: int) -> Outcome | None:
        """A store's fault; None if a handler that toggles made the store possible (T13)."""
        is_fatal = self.book.holds("X4") and thread.state is JitState.RW
        if self.handlers.get(fault.name) != "heal" or is_fatal:
            return self.raise_fault(thread, fault)
        self.enter_handler(thread)
        toggled = self.write_protect(thread, 0)
        if toggled.kind is not OutcomeKind.OK:
            return toggled
        self.leave_handler(thread)
        again = self.store_fault(thread, address)
        if again is None:
            return None
        # The same store faults again, without end.
        entry = self.memory.map.find(address)
        is_switched = entry is not None and entry.is_switched
        return self._end(self.book.signal("T12") if is_switched else again)

    def raise_fault(self, thread: Thread, fault: Outcome) -> Outcome:
        """A fault of this thread: a kill, a signal that is caught, or the end."""
        if fault.kind is OutcomeKind.SIGNAL:
            if self.book.holds("X4") and thread.state is JitState.RW:
                return self._end(self.book.kill("X4"))
            if fault.name in self.handlers:
                return fault
        return self._end(fault)

    def _end(self, outcome: Outcome) -> Outcome:
        self.is_dead = True
        return outcome
