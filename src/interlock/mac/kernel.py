"""The modelled Mac: processes, threads, and the kernel between them and the contract.

A thread runs on the one core until it calls the system, faults, or comes to a function whose body its host plays.  What a call or a
fault comes to is `contract.Process`'s to say; here are registers, addresses and the order of things.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from interlock.contract import Outcome, OutcomeKind, Process
from interlock.contract.machine import refuse_other_chips
from interlock.contract.memory_map import CELL_BYTES, Protection
from interlock.contract.outcome import OK
from interlock.contract.threads import Thread
from interlock.errors import InternalError, UnsupportedError
from interlock.mac import libc, libsystem, signals
from interlock.mac.code import BARRIER
from interlock.mac.cpu import PC, SP, Access, Cpu, Frame, Stop, StopKind
from interlock.mac.memory import AddressSpaces

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interlock.contract import Profile
    from interlock.contract.allow_list import Image
    from interlock.mac.cpu import Registers

STACK_BYTES = 8 << 20
# At the lowest addresses of a stack: errno, what pthread_self points to, and the thread's copies of thread-local variables.
_ERRNO_BYTES, _SELF_BYTES, VARIABLES_BYTES = 16, 240, 3840
_SLICE_INSTRUCTIONS = (
    20_000  # between two looks at the clock, while a timer runs; one takes a nanosecond
)
_SERVICE_REGISTER = 16
_LINK_REGISTER = 30


class Pause(Enum):
    """Why a thread waits for its host."""

    RETURNED = "the call returned"
    HOST_BODY = "it is in a function whose body the host plays"
    WAITING = "it waits for a timer"
    CAUGHT = "a signal was caught, and the access that raised it given up"
    ENDED = "its process has ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of the timeline: what a thread asked of the system, or met."""

    thread: str
    what: str
    outcome: Outcome


@dataclass(slots=True, kw_only=True, eq=False)
class GuestProcess:
    """A process: the contract's view of it, what is linked into it, and the handlers of its own."""

    model: Process
    symbols: dict[str, int] = field(default_factory=dict)
    actions: dict[int, signals.Action] = field(default_factory=dict)
    number: int = 1  # getpid
    queues: dict[int, libc.Queue] = field(default_factory=dict)
    destructors: list[int] = field(default_factory=list)  # of thread-specific data, by key
    fork_handlers: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class GuestThread:
    """A thread: its registers while it waits, and those of the calls that its host has interrupted."""

    process: GuestProcess
    model: Thread
    registers: Registers
    stack_address: int
    callers: list[Registers] = field(default_factory=list)
    interrupted: list[signals.Interrupted] = field(default_factory=list)
    outcome: Outcome = OK  # of its last call of the system, or fault
    result: int = 0  # of the last call that returned
    first_store: int | None = None  # where a run of stores began, if it is one
    blocked: int = 0  # signals, by bit
    pending: list[int] = field(default_factory=list)
    specific: dict[int, int] = field(default_factory=dict)  # by key
    start: tuple[int, int] | None = None  # function and argument of one that has not begun
    waits_for: libc.Queue | None = None
    wake_address: int = 0

    @property
    def errno_address(self) -> int:
        """Where `errno` of this thread lies."""
        return self.stack_address

    @property
    def self_address(self) -> int:
        """What `pthread_self` returns."""
        return self.stack_address + _ERRNO_BYTES

    @property
    def variables_address(self) -> int:
        """Where its thread-local variables lie."""
        return self.stack_address + _ERRNO_BYTES + _SELF_BYTES

    def send(self, number: int) -> None:
        """A signal, which waits until it can be delivered; one of each number at a time."""
        if number not in self.pending:
            self.pending.append(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a host looks at when it plays a function: x0 to x7, and where the thread is."""

    pc: int
    arguments: tuple[int, ...]


class Mac:
    """One modelled machine."""

    def __init__(self, profile: Profile) -> None:
        if refusal := refuse_other_chips(profile):
            raise UnsupportedError(f"profile {profile.name}: {refusal}")
        self.profile = profile
        self.timeline: list[Event] = []
        self.threads: list[GuestThread] = []
        self.nanoseconds = 1_000_000_000
        self.stack_bytes = STACK_BYTES
        self._running: GuestThread | None = None
        self.cpu = Cpu(self._translate)
        self.spaces = AddressSpaces(self.cpu)

    # ---- Processes and threads --------------------------------------------------------------------------------------------------

    def start(
        self, *, images: Iterable[Image] = (), switches: Mapping[str, str] | None = None
    ) -> tuple[GuestThread, Outcome]:
        """A process with libSystem and one thread, as it is before `main`."""
        process = GuestProcess(model=Process(self.profile, images=images, switches=switches))
        if process.model.needs_barriers:
            self.cpu.watch_instructions(self._note_run)
        libsystem.link(self, process)
        outcome = process.model.start()
        return self.add_thread(process, Thread(name="main")), outcome

    def add_thread(self, process: GuestProcess, model: Thread) -> GuestThread:
        """A thread that waits, on a stack of its own."""
        rights = Protection.READ | Protection.WRITE
        stack = self.spaces.map_image(process.model, STACK_BYTES, protection=rights)
        self.cpu.clear()
        self.cpu.set_special(SP, stack + STACK_BYTES)
        thread = GuestThread(
            process=process, model=model, registers=self.cpu.save(), stack_address=stack
        )
        self.threads.append(thread)
        self.barrier(thread)
        return thread

    def fork(self, thread: GuestThread, name: str) -> GuestThread:
        """The system's `fork`: the child's one thread, at the place of the one that called.  No handler of `pthread_atfork` runs."""
        parent = thread.process
        model, only = parent.model.fork(thread.model, name)
        child = GuestProcess(
            model=model,
            symbols=parent.symbols,
            actions=dict(parent.actions),
            number=1 + max(each.process.number for each in self.threads),
            destructors=list(parent.destructors),
            fork_handlers=list(parent.fork_handlers),
        )
        self.spaces.fork(parent.model, model)
        copy = replace(
            thread,
            process=child,
            model=only,
            callers=list(thread.callers),
            interrupted=list(thread.interrupted),
            specific=dict(thread.specific),
            pending=[],
        )
        self.threads.append(copy)
        return copy

    def exec(self, thread: GuestThread) -> tuple[GuestThread, Outcome]:
        """`execve` of the same program: another thread in an empty address space."""
        process = thread.process
        self.threads = [each for each in self.threads if each.process is not process]
        outcome = process.model.exec()
        process.symbols.clear()
        process.actions.clear()
        process.queues.clear()
        libsystem.link(self, process)
        return self.add_thread(process, Thread(name=thread.model.name)), outcome

    # ---- Running ----------------------------------------------------------------------------------------------------------------

    def call(self, thread: GuestThread, address: int, *arguments: int) -> Pause:
        """Have a thread that waits call a function; `resume` goes on where it pauses."""
        thread.callers.append(thread.registers)
        self.cpu.restore(thread.registers)
        for number, value in enumerate(arguments):
            self.cpu.set_x(number, value)
        self.cpu.set_x(_LINK_REGISTER, libsystem.RETURN_STUB)
        self.cpu.set_special(SP, self.cpu.special(SP) & -16)
        self.cpu.set_special(PC, address)
        return self._run(thread)

    def return_from_body(self, thread: GuestThread, value: int = 0) -> Pause:
        """Have a function whose body the host plays return."""
        self.cpu.restore(thread.registers)
        self.cpu.set_x(0, value)
        return self._run(thread)

    def unwind(self, thread: GuestThread) -> None:
        """`longjmp` to where the innermost call of the host was made."""
        thread.registers = thread.callers.pop()

    def interrupt(self, thread: GuestThread, number: int, handler: int) -> Pause:
        """Deliver a signal to a thread that waits; its handler runs until it pauses."""
        self.cpu.restore(thread.registers)
        self.cpu.set_special(
            PC, libsystem.HOST_BODY_STUB
        )  # where it waits again when the handler has returned
        signals.enter(self, thread, signals.Signal(number=number), handler)
        return self._run(thread)

    def _run(self, thread: GuestThread) -> Pause:
        outer, self._running = self._running, thread
        self.cpu.forget_translations()
        pause = None
        while pause is None:
            has_timers = any(queue.timers for queue in thread.process.queues.values())
            pause = self._handle(
                thread, self.cpu.run(instructions=_SLICE_INSTRUCTIONS if has_timers else 0)
            )
            if pause is None and has_timers:
                self.nanoseconds += _SLICE_INSTRUCTIONS
                self._fire_timers(thread)
            if pause is None and thread.pending:
                pause = self._take_signals(thread)
        thread.registers = self.cpu.save()
        if pause is Pause.RETURNED:
            thread.result = self.cpu.x(0)
        if pause in {Pause.RETURNED, Pause.CAUGHT}:
            thread.registers = thread.callers.pop()
        self._running = outer
        return pause

    def _take_signals(self, thread: GuestThread) -> Pause | None:
        """Deliver what was sent to the thread and is not blocked."""
        for number in [each for each in thread.pending if not thread.blocked >> each - 1 & 1]:
            thread.pending.remove(number)
            action = thread.process.actions.get(number, signals.Action())
            if action.is_ignoring(number):
                continue
            outcome = thread.process.model.deliver(thread.model, signals.NAMES[number])
            self.note(thread, f"{signals.NAMES[number]} arrives", outcome)
            thread.outcome = outcome
            if thread.process.model.is_dead:
                return Pause.ENDED
            signals.enter(self, thread, signals.Signal(number=number), action.handler)
        self.cpu.forget_translations()
        return None

    def _fire_timers(self, running: GuestThread) -> None:
        """Let the threads run that wait for a timer which is due, until they wait again."""
        process = running.process
        for queue in list(process.queues.values()):
            for ident in [each for each, due in queue.timers.items() if due <= self.nanoseconds]:
                waiting = self._waiting_thread(process, queue)
                if waiting is None:
                    continue
                libc.wake(self, waiting, queue, ident)
                running.registers = self.cpu.save()
                self.cpu.restore(waiting.registers)
                self.cpu.set_x(0, 1)
                self._run(waiting)
                self.cpu.restore(running.registers)
                self.cpu.forget_translations()

    def _waiting_thread(self, process: GuestProcess, queue: libc.Queue) -> GuestThread | None:
        """The thread that waits for the queue; those that have not begun begin first."""
        for thread in self.threads:
            if thread.process is process and thread.start is not None:
                function, argument = thread.start
                thread.start = None
                running = self._running
                before = self.cpu.save()
                self.call(thread, function, argument)
                self.cpu.restore(before)
                self._running = running
        return next(
            (each for each in self.threads if each.process is process and each.waits_for is queue),
            None,
        )

    def _handle(self, thread: GuestThread, stop: Stop) -> Pause | None:
        """What the kernel does about a stop; None: the thread goes on."""
        if stop.kind is StopKind.SYSTEM_CALL:
            number = self.cpu.x(_SERVICE_REGISTER)
            if number == libsystem.RETURNED:
                return Pause.RETURNED
            if number == libsystem.HOST_BODY:
                return Pause.HOST_BODY
            libsystem.serve(self, thread, number)
            if thread.process.model.is_dead:
                return Pause.ENDED
            return Pause.WAITING if thread.waits_for is not None else None
        if stop.kind is StopKind.TIME:
            return None
        outcome = self._fault(thread, stop)
        if outcome is None:  # a handler has made the access possible
            self.cpu.forget_translations()
            return None
        thread.outcome = outcome
        what = stop.access.name.lower() if stop.kind is StopKind.FAULT else stop.kind.value
        at = stop.address if stop.kind is StopKind.FAULT else stop.pc
        self.note(thread, f"{what} at {at:#x}", outcome)
        if thread.process.model.is_dead:
            return Pause.ENDED
        if outcome.kind is not OutcomeKind.SIGNAL:
            return None
        signal = signals.Signal.of_fault(outcome.name, at)
        action = thread.process.actions.get(signal.number)
        if action is None:
            return Pause.CAUGHT  # its host has told the contract's process only
        thread.process.model.enter_handler(thread.model)
        signals.enter(self, thread, signal, action.handler)
        self.cpu.forget_translations()
        return None

    def _fault(self, thread: GuestThread, stop: Stop) -> Outcome | None:
        process, model = thread.process.model, thread.model
        fault: Outcome | None
        match stop.kind:
            case StopKind.CACHE_TYPE:
                return process.flush_by_hand(model)
            case StopKind.BREAKPOINT:
                return process.raise_fault(model, Outcome(kind=OutcomeKind.SIGNAL, name="SIGTRAP"))
            case StopKind.UNDEFINED:
                return process.undefined_instruction(model, self.stale_rule(thread, stop.pc))
        match stop.access:
            case Access.WRITE:
                is_first = thread.first_store in {None, stop.address}
                return process.try_store(model, stop.address, is_first=is_first)
            case Access.READ:
                fault = process.load_fault(stop.address)
            case Access.FETCH:
                fault = process.fetch_fault(model, stop.address)
        if fault is None:
            raise InternalError(stage="mac", detail=f"{stop} is no fault")
        return process.raise_fault(model, fault)

    def stale_rule(self, thread: GuestThread, address: int) -> str:
        """Why the thread ran other bytes at this place than stand there; empty if it did not."""
        process, cell = thread.process.model, address & -CELL_BYTES
        return process.stale_rule(
            cell,
            ran=int.from_bytes(self.spaces.read_instructions(process, thread.model, cell)),
            cached=int.from_bytes(self.spaces.read_instructions(process, None, cell)),
            written=int.from_bytes(self.spaces.read(process, cell, CELL_BYTES)),
        )

    def registers(self, thread: GuestThread) -> Arguments:
        """Of a thread that waits."""
        self.cpu.restore(thread.registers)
        return Arguments(
            pc=self.cpu.special(PC), arguments=tuple(self.cpu.x(number) for number in range(8))
        )

    # ---- What services and hosts need -------------------------------------------------------------------------------------------

    def note(self, thread: GuestThread, what: str, outcome: Outcome) -> None:
        """Add a line to the timeline."""
        self.timeline.append(Event(thread=thread.model.name, what=what, outcome=outcome))

    def read(self, thread: GuestThread, address: int, size: int) -> bytes:
        """Bytes of the thread's process."""
        return self.spaces.read(thread.process.model, address, size)

    def write(self, thread: GuestThread, address: int, data: bytes) -> None:
        """Store bytes into the thread's process."""
        self.spaces.write(thread.process.model, address, data)

    def thread_at(self, process: GuestProcess, self_address: int) -> GuestThread | None:
        """The thread that `pthread_self` names so."""
        for thread in self.threads:
            if thread.process is process and thread.self_address == self_address:
                return thread
        return None

    def _translate(self, page: int, access: Access) -> Frame | None:
        thread = self._running
        if thread is None:
            return None
        return self.spaces.frame(thread.process.model, thread.model, page, access)

    def _note_run(self, address: int) -> None:
        """Where threads need barriers: an instruction is about to run."""
        thread = self._running
        if thread is None:
            return
        if self.spaces.note_run(thread.process.model, thread.model, address) == BARRIER:
            self.barrier(thread)

    def barrier(self, thread: GuestThread) -> Outcome:
        """The thread forgets older instructions (I6)."""
        if thread.process.model.needs_barriers:
            self.spaces.barrier(thread.model)
        return thread.process.model.synchronise(thread.model)
