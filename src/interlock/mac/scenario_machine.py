"""Scenarios on the modelled Mac: a step is guest code, or a call of the modelled libSystem by guest code.

The exceptions, where there is nothing that a program could do by itself: a second mapping of memory, a signal from outside, fork,
exec, and the closure of libffi.  They are asked of the kernel directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.contract import OutcomeKind, Profile, Scenario, Step
from interlock.contract.machine import refuse_other_chips
from interlock.contract.memory_map import CELL_BYTES, Protection
from interlock.contract.outcome import DEAD, OK, Outcome, ok
from interlock.contract.places import (
    FIRST_CALLBACK,
    Names,
    Region,
    Regions,
    descriptor_of,
    protection_of,
)
from interlock.contract.process import CALLBACK, FREEZE, INVALIDATE, PROTECT, SUPPORTED
from interlock.contract.scenario import ImageText
from interlock.contract.steps import MAIN_THREAD
from interlock.errors import ScenarioError
from interlock.mac import code, libsystem
from interlock.mac.kernel import GuestThread, Mac, Pause
from interlock.mac.signals import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CALLBACKS_BYTES = 0x10_0000  # of text, in which every callback of a scenario lies
_HELPERS = FIRST_CALLBACK + _CALLBACKS_BYTES
_STORE, _LOAD, _READ_CACHE_TYPE, _BARRIER = (_HELPERS + 32 * index for index in range(4))
_FLAGS = {
    "jit": libsystem.MAP_JIT,
    "shared": libsystem.MAP_SHARED,
    "resilient": libsystem.MAP_RESILIENT_CODESIGN,
    "tpro": libsystem.MAP_TPRO,
    "unknown": libsystem.MAP_UNKNOWN,
}


class MacMachine:
    """The modelled Mac as a machine of the contract."""

    is_exact = True

    def __init__(self) -> None:
        self._names = Names()
        self._regions = Regions(0)
        self._threads: dict[str, GuestThread] = {}
        self._mac: Mac | None = None
        self._verbs: Mapping[str, Callable[[GuestThread, Step], Outcome]] = {
            "map": self._map,
            "unmap": self._unmap,
            "protect": self._protect,
            "advise": self._advise,
            "alias": self._alias,
            "write": self._write,
            "read": self._read,
            "kernel-write": self._kernel_write,
            "execute": self._execute,
            "invalidate": self._invalidate,
            "clear-cache": self._invalidate,
            "callback": self._callback,
            "return": self._return,
            "escape": self._escape,
            "deliver": self._deliver,
            "handler-return": self._handler_return,
            "thread": self._thread,
            "end-thread": self._end_thread,
            "fork": self._fork,
            "exec": self._exec,
        }

    def refusal(self, profile: Profile, scenario: Scenario) -> str:
        """Its processor is Apple silicon, and translates nothing."""
        del scenario
        return refuse_other_chips(profile)

    def start(self, profile: Profile, scenario: Scenario) -> Outcome:
        """A process with the scenario's images."""
        self._names, self._regions = Names(), Regions(profile.page_bytes)
        self._mac = Mac(profile)
        images = [self._names.image(each) for each in scenario.images]
        main, outcome = self._mac.start(images=images, switches=scenario.switches)
        self._threads = {MAIN_THREAD: main}
        self._link(main)
        return outcome

    def perform(self, step: Step) -> Outcome:
        """One step."""
        thread = self._threads.get(step.thread)
        if thread is None:
            raise ScenarioError(f"there is no thread {step.thread}", span=step.span)
        if thread.process.model.is_dead:
            return DEAD
        special = self._verbs.get(step.verb)
        return special(thread, step) if special is not None else self._simple(thread, step)

    def _simple(self, thread: GuestThread, step: Step) -> Outcome:
        match step.verb:
            case "start" | "alive":
                return OK
            case "toggle":
                return self._system(thread, PROTECT, step.value or 0)
            case "supported":
                return self._system(thread, SUPPORTED)
            case "freeze":
                return self._system(thread, FREEZE)
            case "symbol":
                return thread.process.model.symbol(step.name)
            case "flush-by-hand":
                return self._call(thread, _READ_CACHE_TYPE)
            case "barrier":
                return self._call(thread, _BARRIER)
            case "handler":
                return thread.process.model.set_handler(step.name, step.action)
            case "closure":
                return thread.process.model.make_closure()
            case "page-size":
                outcome = self._system(thread, "getpagesize")
                return ok(thread.result) if outcome.kind is OutcomeKind.OK else outcome
            case "dlopen":
                text = ImageText(
                    name=step.name, words=step.words, options=step.options, span=step.span
                )
                return thread.process.model.load_image(self._names.image(text))
        raise ScenarioError(f"the modelled Mac has no step {step.verb}", span=step.span)

    # ---- Guest code -------------------------------------------------------------------------------------------------------------

    @property
    def _machine(self) -> Mac:
        if self._mac is None:
            raise ValueError("the scenario has not started")
        return self._mac

    def _link(self, thread: GuestThread) -> None:
        """The program: its callbacks, and what touches memory for it."""
        spaces, model = self._machine.spaces, thread.process.model
        rights = Protection.READ | Protection.EXECUTE
        stub = self._machine.read(thread, libsystem.HOST_BODY_STUB, CELL_BYTES)
        callbacks = (stub * (64 // CELL_BYTES)) * (_CALLBACKS_BYTES // 64)
        helpers = b"".join(
            each.ljust(32, bytes(1))
            for each in (code.STORE, code.LOAD, code.READ_CACHE_TYPE, code.RUN_BARRIER)
        )
        text = callbacks + helpers
        spaces.map_image(model, len(text), protection=rights, at=FIRST_CALLBACK)
        spaces.write(model, FIRST_CALLBACK, text)
        spaces.synchronise(model, FIRST_CALLBACK, len(text))

    def _call(self, thread: GuestThread, address: int, *arguments: int) -> Outcome:
        """Guest code runs until it returns, or until something ends it."""
        thread.outcome = OK
        self._machine.call(thread, address, *arguments)
        return thread.outcome

    def _system(self, thread: GuestThread, name: str, *arguments: int) -> Outcome:
        """A call of libSystem, with what the program sees of it."""
        address = thread.process.symbols[f"_{name}"]
        outcome = self._call(thread, address, *arguments)
        if (
            address == 0
        ):  # a weak symbol that this macOS does not have: the jump faulted, and the rule is the symbol's
            missing = thread.process.model.missing(thread.model, name)
            if missing is not None:
                return missing
        if outcome.kind is OutcomeKind.ERRNO:
            seen = self._machine.read(thread, thread.errno_address, 4)
            if int.from_bytes(seen, "little") not in {libsystem.ERRNO.get(outcome.name), 22}:
                raise ScenarioError(f"{name}: the program sees errno {seen.hex()}, not {outcome}")
        return outcome

    def _map(self, thread: GuestThread, step: Step) -> Outcome:
        options, memory = step.options, thread.process.model.memory
        size = self._regions.bytes_of(step.length)
        fixed = self._regions.fixed_address(step)
        flags = sum(flag for name, flag in _FLAGS.items() if name in options)
        if "file" not in options:
            flags |= libsystem.MAP_ANON
        if "noprivate" not in options and "shared" not in options:
            flags |= libsystem.MAP_PRIVATE
        place = memory.map.place(size) if "hint" in options else 0
        if fixed is not None:
            flags, place = flags | libsystem.MAP_FIXED, fixed
        rights = libsystem.protection_bits(protection_of(step))
        outcome = self._system(
            thread, "mmap", place, size, rights, flags, descriptor_of(options), 0
        )
        region = Region(address=thread.result, size=memory.map.round_up(size))
        self._regions.add(step.name, region)
        return outcome

    def _unmap(self, thread: GuestThread, step: Step) -> Outcome:
        return self._system(thread, "munmap", *self._regions.range(step))

    def _protect(self, thread: GuestThread, step: Step) -> Outcome:
        rights = libsystem.protection_bits(protection_of(step))
        return self._system(thread, "mprotect", *self._regions.range(step), rights)

    def _advise(self, thread: GuestThread, step: Step) -> Outcome:
        advice = libsystem.ADVICE[step.name]
        return self._system(thread, "madvise", *self._regions.range(step), advice)

    def _alias(self, thread: GuestThread, step: Step) -> Outcome:
        address, size = self._regions.range(step)
        memory = thread.process.model.memory
        outcome, base = memory.alias(address, size, protection_of(step))
        self._regions.add(step.name, Region(address=base, size=size))
        return outcome

    def _write(self, thread: GuestThread, step: Step) -> Outcome:
        address, size = self._regions.cells(step)
        cell = code.function_returning(step.value or 0)
        words = (int.from_bytes(cell[:8], "little"), int.from_bytes(cell[8:], "little"))
        thread.first_store = address
        outcome = self._call(thread, _STORE, address, *words, -(-size // CELL_BYTES))
        thread.first_store = None
        return outcome

    def _read(self, thread: GuestThread, step: Step) -> Outcome:
        outcome = self._call(thread, _LOAD, self._regions.address(step))
        if outcome.kind is not OutcomeKind.OK:
            return outcome
        return ok(code.returned_by(thread.result.to_bytes(8, "little")))

    def _kernel_write(self, thread: GuestThread, step: Step) -> Outcome:
        address = self._regions.address(step)
        outcome = self._system(thread, "read", step.value or 0, address, CELL_BYTES)
        return OK if outcome.kind is OutcomeKind.OK else outcome

    def _execute(self, thread: GuestThread, step: Step) -> Outcome:
        address = self._regions.address(step)
        outcome = self._call(thread, address)
        if outcome.kind is not OutcomeKind.OK:
            return outcome
        return ok(thread.result, rule=self._machine.stale_rule(thread, address))

    def _invalidate(self, thread: GuestThread, step: Step) -> Outcome:
        return self._system(thread, INVALIDATE, *self._regions.cells(step))

    # ---- Callbacks, signals, threads, processes ---------------------------------------------------------------------------------

    def _callback(self, thread: GuestThread, step: Step) -> Outcome:
        return self._system(thread, CALLBACK, self._names.callback(step.name), 0)

    def _return(self, thread: GuestThread, step: Step) -> Outcome:
        value = step.value or 0
        self._require(self._machine.return_from_body(thread, value), Pause.RETURNED, step)
        result = thread.result & 0xFFFFFFFF
        return ok(result - (1 << 32) if result >> 31 else result)

    def _escape(self, thread: GuestThread, step: Step) -> Outcome:
        if not thread.model.callbacks:
            raise ScenarioError(f"{step.thread} is in no callback", span=step.span)
        self._machine.unwind(thread)
        return thread.process.model.escape_from_callback(thread.model)

    def _deliver(self, thread: GuestThread, step: Step) -> Outcome:
        outcome = thread.process.model.deliver(thread.model, step.name)
        if outcome.kind is OutcomeKind.OK:
            handler = libsystem.HOST_BODY_STUB
            pause = self._machine.interrupt(thread, NUMBERS[step.name], handler)
            self._require(pause, Pause.HOST_BODY, step)
        return outcome

    def _handler_return(self, thread: GuestThread, step: Step) -> Outcome:
        self._require(self._machine.return_from_body(thread), Pause.HOST_BODY, step)
        return OK

    def _thread(self, thread: GuestThread, step: Step) -> Outcome:
        model = thread.process.model.create_thread(step.name)
        self._add(step, self._machine.add_thread(thread.process, model))
        return OK

    def _end_thread(self, _thread: GuestThread, step: Step) -> Outcome:
        del self._threads[step.thread]
        return OK

    def _fork(self, thread: GuestThread, step: Step) -> Outcome:
        self._add(step, self._machine.fork(thread, step.name))
        return OK

    def _exec(self, thread: GuestThread, step: Step) -> Outcome:
        """The thread that called it is the only one left, in the state of a new one."""
        process = thread.process
        self._threads = {
            name: other for name, other in self._threads.items() if other.process is not process
        }
        self._threads[step.thread], outcome = self._machine.exec(thread)
        self._link(self._threads[step.thread])
        return outcome

    def _add(self, step: Step, thread: GuestThread) -> None:
        if step.name in self._threads:
            raise ScenarioError(f"there is a thread {step.name} already", span=step.span)
        self._threads[step.name] = thread

    @staticmethod
    def _require(pause: Pause, wanted: Pause, step: Step) -> None:
        if pause is not wanted:
            raise ScenarioError(f"{step.verb}: {pause.value}", span=step.span)
