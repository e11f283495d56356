"""Traps, deadlines, interrupts and threads: the core's signal handlers in its build for Apple silicon, on the modelled Mac."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("unicorn", reason="needs unicorn (the extra mac)")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")

import interlock
from interlock.mac import GuestThread, Program, StoppedError, libsystem
from interlock.mac.cpu import Stop, StopKind
from interlock.mac.signals import NUMBERS, SIG_IGN
from interlock.runtime import pipeline
from interlock.runtime.modelled import ModelledInstance
from tests.core.modelled_host import (
    ALLOWLIST,
    BTI_C,
    LOOP,
    OK,
    RETURN,
    TRAPPED,
    Host,
    published,
    returning,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 65536
SYSTEM_ERROR = 5  # il_status
OUT_OF_BOUNDS, INTERRUPTED, FAULT = 5, 11, 14  # il_trap_kind
SIG_BLOCK, SIG_UNBLOCK, SA_SIGINFO = 1, 2, 0x40
MILLISECOND = 1_000_000
CALLS_BACK = """(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func (export "trap") unreachable)
  (func (export "_start") {}))"""
ONCE = CALLS_BACK.format("(drop (call $yield))")
FOR_EVER = CALLS_BACK.format("(loop $again (drop (call $yield)) (br $again))")


def run_with_host_function(
    program: Program, text: str, body: Callable[[ModelledInstance], int]
) -> None:
    """Run `_start` of a module whose import we play."""
    with ModelledInstance(program, pipeline.read_wat(text), interlock.Wasi()) as instance:
        (wanted,) = instance._host_functions
        instance._host_functions = [replace(wanted, call=lambda: body(instance))]
        instance.run()


def add_thread(program: Program) -> GuestThread:
    process = program.thread.process
    return program.mac.add_thread(process, process.model.create_thread("second"))


def call_in(program: Program, thread: GuestThread, name: str, *arguments: int) -> int:
    """Call a function of the library in another thread, while this one waits."""
    before, program.thread = program.thread, thread
    try:
        return program.call(name, *arguments)
    finally:
        program.thread = before


def send_while_it_runs(program: Program, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A signal comes from outside when code has run for a time slice.  There are slices where a timer is set."""
    original, target = program.mac.cpu.run, program.thread

    def run(*, instructions: int = 0) -> Stop:
        stop = original(instructions=instructions)
        if stop.kind is StopKind.TIME:
            monkeypatch.undo()
            target.send(number)
        return stop

    monkeypatch.setattr(program.mac.cpu, "run", run)


def set_blocked(program: Program, how: int, number: int) -> None:
    mask = program.put(struct.pack("<I", 1 << number - 1))
    assert program.call_system("pthread_sigmask", how, mask, 0) == 0


def install(
    program: Program, number: int, body: Callable[[tuple[int, ...]], int], flags: int
) -> None:
    """A handler of the program's own."""
    action = program.put(struct.pack("<QIi", program.function(body), 0, flags))
    assert program.call_system("sigaction", number, action, 0) == 0


# ---- Faults ------------------------------------------------------------------------------------------------------------------


def test_fault_that_is_not_ours_goes_to_the_handler_from_before(modelled_library: bytes) -> None:
    """A chain of handlers: the program's own was there first."""
    host = published(modelled_library, *returning(1))
    program = host.program
    seen: list[int] = []

    def handler(arguments: tuple[int, ...]) -> int:
        number, _, context = arguments[:3]
        seen.append(number)
        mcontext = program.read_u64(context + 48)
        program.write_u64(mcontext + 16 + 32 * 8, libsystem.RETURN_STUB)  # pc
        return 0

    install(program, NUMBERS["SIGBUS"], handler, SA_SIGINFO)
    assert program.call("il_traps_install") == OK
    assert program.call("il_traps_install") == OK

    program.call_address(program.library.base + (1 << 20))  # data of the library: not executable

    assert seen == [NUMBERS["SIGBUS"]]


def test_load_in_a_linear_memory_out_of_bounds_is_told_apart(modelled_library: bytes) -> None:
    host = published(modelled_library, BTI_C, 0xF9400000, RETURN)  # ldr x0, [x0]
    program = host.program
    memory = program.allocate(32)
    assert program.call("il_memory_open", PAGE, PAGE, memory) == OK
    assert program.call("il_traps_install") == OK

    status, kind, _ = host.call_guarded(host.address, program.read_u64(memory) + PAGE)

    assert (status, kind) == (TRAPPED, OUT_OF_BOUNDS)


def test_stale_instructions_are_a_fault_of_the_guest(modelled_library: bytes) -> None:
    """What the processor fetches is no instruction, whatever stands in memory: the handler finds no trap there."""
    host = Host(Program(ALLOWLIST, modelled_library, is_synchronising=False))
    assert host.open() == OK
    assert host.publish(host.open_arena(), *returning(42)) == OK
    assert host.program.call("il_traps_install") == OK

    assert host.call_guarded(host.address)[:2] == (TRAPPED, FAULT)


def test_trap_ends_the_innermost_call_only(modelled_library: bytes) -> None:
    """A host function calls a guest function that traps, and goes on; so does the guest that called it."""
    kinds: list[int] = []

    def call_what_traps(instance: ModelledInstance) -> int:
        with pytest.raises(interlock.Trap, match="unreachable") as trap:
            instance._call(instance._funcref(1))
        kinds.append(trap.value.code)
        return 0

    run_with_host_function(Program(ALLOWLIST, modelled_library), ONCE, call_what_traps)

    assert kinds == [1]


# ---- Deadlines, interrupts, Ctrl-C -------------------------------------------------------------------------------------------


def test_interrupt_from_a_host_function_ends_the_call(modelled_library: bytes) -> None:
    program = Program(ALLOWLIST, modelled_library)
    is_interrupted: list[int] = []

    def interrupt(instance: ModelledInstance) -> int:
        contexts = program.put(struct.pack("<Q", instance._vmctx))
        is_interrupted.append(program.call("il_is_interrupted") & 1)
        status = program.call("il_interrupt", contexts, 1)
        is_interrupted.append(program.call("il_is_interrupted") & 1)
        return status

    with pytest.raises(interlock.Trap, match="interrupted"):
        run_with_host_function(program, FOR_EVER, interrupt)

    assert is_interrupted == [0, 1]


def test_deadline_that_passes_in_a_host_function_ends_the_call_behind_it(
    modelled_library: bytes,
) -> None:
    program = Program(ALLOWLIST, modelled_library)
    is_interrupted: list[int] = []

    def sleep(_instance: ModelledInstance) -> int:
        assert program.call("il_deadline_set", MILLISECOND) == OK
        program.call_system("nanosleep", program.put(struct.pack("<qq", 0, 2 * MILLISECOND)), 0)
        is_interrupted.append(program.call("il_is_interrupted") & 1)
        return 0

    with pytest.raises(interlock.Trap, match="interrupted"):
        run_with_host_function(program, ONCE, sleep)

    assert is_interrupted == [1]


def test_ctrl_c_ends_guest_code_and_tells_the_handler_from_before(
    modelled_library: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python's: a handler that is told the number only, and takes note of it."""
    host = published(modelled_library, BTI_C, LOOP)
    program, seen = host.program, []

    def handler(arguments: tuple[int, ...]) -> int:
        seen.append(arguments[0])
        return 0

    install(program, NUMBERS["SIGINT"], handler, 0)
    assert program.call("il_traps_install") == OK
    until = program.mac.nanoseconds + 1000 * MILLISECOND
    assert program.call("il_deadline_set", 1000 * MILLISECOND) == OK
    send_while_it_runs(program, monkeypatch, NUMBERS["SIGINT"])

    assert host.call_guarded(host.address)[:2] == (TRAPPED, INTERRUPTED)
    assert program.mac.nanoseconds < until
    assert program.call("il_deadline_set", 0) == OK
    assert seen == [NUMBERS["SIGINT"]]
    assert host.publish(host.open_arena(), *returning(42)) == OK
    assert host.call_guarded(host.address) == (OK, 0, 42)  # it ended one call


def test_ctrl_c_in_a_host_function_is_the_functions(modelled_library: bytes) -> None:
    program = Program(ALLOWLIST, modelled_library)
    seen: list[int] = []

    def handler(arguments: tuple[int, ...]) -> int:
        seen.append(arguments[0])
        return 0

    install(program, NUMBERS["SIGINT"], handler, 0)

    run_with_host_function(
        program, ONCE, lambda _instance: program.call_system("raise", NUMBERS["SIGINT"])
    )

    assert seen == [NUMBERS["SIGINT"]]


@pytest.mark.parametrize(("name", "is_set"), [("SIGINT", True), ("SIGURG", False)])
def test_signal_that_is_ignored_changes_nothing(
    modelled_library: bytes, name: str, *, is_set: bool
) -> None:
    """By the program, or by default."""
    program = Program(ALLOWLIST, modelled_library)
    if is_set:
        ignoring = program.put(struct.pack("<QIi", SIG_IGN, 0, 0))
        assert program.call_system("sigaction", NUMBERS[name], ignoring, 0) == 0

    assert program.call_system("raise", NUMBERS[name]) == 0


def test_signal_that_nobody_handles_ends_the_program(modelled_library: bytes) -> None:
    program = Program(ALLOWLIST, modelled_library)

    with pytest.raises(StoppedError, match="signal SIGINT"):
        program.call_system("raise", NUMBERS["SIGINT"])


# ---- Threads -----------------------------------------------------------------------------------------------------------------


def test_thread_has_a_record_from_its_first_call_to_its_end(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(42))
    program, mac = host.program, host.program.mac
    main, process = program.thread, program.thread.process
    program.thread = mac.add_thread(process, process.model.create_thread("second"))

    assert host.call_guarded(host.address) == (OK, 0, 42)
    assert host.publish(host.open_arena(), *returning(43)) == OK
    ((key, record),) = program.thread.specific.items()
    program.call_address(process.destructors[key - 1], record)

    program.thread = main
    assert host.call_guarded(host.address) == (OK, 0, 43)
    assert main.specific[key] == record  # used again


def test_threads_have_records_of_their_own(modelled_library: bytes) -> None:
    host = published(modelled_library, *returning(42))
    main, second = host.program.thread, add_thread(host.program)

    assert host.call_guarded(host.address) == (OK, 0, 42)
    host.program.thread = second
    assert host.call_guarded(host.address) == (OK, 0, 42)

    assert set(main.specific.values()).isdisjoint(second.specific.values())
    assert host.program.call("il_interrupt", 0, 0) == OK  # the other one is in no call


def test_code_is_running_while_its_host_function_does(modelled_library: bytes) -> None:
    program = Program(ALLOWLIST, modelled_library)
    second = add_thread(program)
    is_running: list[int] = []

    def look(_instance: ModelledInstance) -> int:
        is_running.append(call_in(program, second, "il_is_running") & 1)
        return 0

    run_with_host_function(program, ONCE, look)

    is_running.append(call_in(program, second, "il_is_running") & 1)
    assert is_running == [1, 0]


def test_interrupt_says_when_a_thread_takes_no_signal(modelled_library: bytes) -> None:
    """The thread in the call blocks it.  When it no longer does, the signal comes, and changes nothing more."""
    program = Program(ALLOWLIST, modelled_library)
    second = add_thread(program)
    statuses: list[int] = []

    def be_interrupted(instance: ModelledInstance) -> int:
        contexts = program.put(struct.pack("<Q", instance._vmctx))
        set_blocked(program, SIG_BLOCK, NUMBERS["SIGURG"])
        statuses.append(call_in(program, second, "il_interrupt", contexts, 1))
        set_blocked(program, SIG_UNBLOCK, NUMBERS["SIGURG"])
        return 0

    with pytest.raises(interlock.Trap, match="interrupted"):
        run_with_host_function(program, FOR_EVER, be_interrupted)

    assert statuses == [SYSTEM_ERROR]
    arrivals = [each for each in program.mac.timeline if each.what == "SIGURG arrives"]
    assert len(arrivals) == 1


def test_forked_child_has_the_signal_mask_and_the_record_of_its_parent(
    modelled_library: bytes,
) -> None:
    host = published(modelled_library, *returning(42))
    assert host.call_guarded(host.address) == (OK, 0, 42)
    set_blocked(host.program, SIG_BLOCK, NUMBERS["SIGINT"])

    child = host.program.fork()

    assert child.blocked == host.program.thread.blocked == 1 << NUMBERS["SIGINT"] - 1
    assert child.specific == host.program.thread.specific != {}
    child.specific.clear()
    assert host.program.thread.specific
