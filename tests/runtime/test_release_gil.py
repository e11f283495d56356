"""`Config(release_gil=True)`: guest code runs in parallel, other threads can interrupt and close it, the host stays well."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Guests announce themselves in memory (the test spins on it) and wait for the test in the same way.
WAT = """(module (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1 65536) (table 8 1000000 funcref) (elem (i32.const 0) $leaf $leaf)
  (data $bytes "0123456789")
  (func $leaf (drop (i32.load (i32.const 0))))
  (func (export "meet") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 1))
    (loop (br_if 0 (i32.eqz (i32.load (local.get 1)))))
    (i32.const 42))
  (func $ready (i32.store (i32.const 8) (i32.const 1)))
  (func (export "loop") (call $ready) (loop (br 0)))
  (func (export "calls") (call $ready) (loop (call $leaf) (br 0)))
  (func (export "indirect") (call $ready) (loop (call_indirect (i32.const 1)) (br 0)))
  (func (export "host") (call $ready) (loop (drop (call $call (i32.const 1))) (br 0)))
  (func (export "fill") (drop (memory.grow (i32.const 1023))) (call $ready)
    (loop (memory.fill (i32.const 64) (i32.const 7) (i32.const 0x3ffffc0)) (br 0)))
  (func (export "copy") (drop (memory.grow (i32.const 1023))) (call $ready)
    (loop (memory.copy (i32.const 65) (i32.const 64) (i32.const 0x3ffffbf)) (br 0)))
  (func (export "init") (call $ready)
    (loop (memory.init $bytes (i32.const 64) (i32.const 0) (i32.const 10)) (br 0)))
  (func (export "grow") (call $ready) (loop (drop (memory.grow (i32.const 0))) (br 0)))
  (func (export "table") (drop (table.grow (ref.null func) (i32.const 999992))) (call $ready)
    (loop (table.copy (i32.const 3) (i32.const 2) (i32.const 999997)) (br 0)))
  (func (export "more") (param i32) (result i32) (memory.grow (local.get 0)))
  (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
  (func $endless (export "endless") (result i32) (i32.add (i32.const 1) (call $endless)))
  (func (export "through") (param i32) (result i32) (call $call (local.get 0))))"""
PLACES = ("loop", "calls", "indirect", "host", "fill", "copy", "init", "grow", "table")


@pytest.fixture(scope="module")
def shared() -> Iterator[interlock.Engine]:
    with interlock.Engine(interlock.Config(release_gil=True)) as engine:
        yield engine


@pytest.fixture
def make(shared: interlock.Engine) -> Callable[..., Any]:
    module = shared.compile_wat(WAT)
    for index in module.defined_function_indices:
        module.address(index)

    def instantiate(call: Callable[[int], int] = lambda number: number) -> interlock.Instance:
        return shared.instantiate(module, {"host": {"call": call}})

    return instantiate


class Caller(threading.Thread):
    """Calls a function and keeps how that ended."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        super().__init__()
        self.function, self.args = function, args
        self.outcome: object = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.function(*self.args)
        except Exception as error:  # noqa: BLE001  (what the test looks at)
            self.outcome = error


def wait_for(instance: Any, offset: int) -> None:
    """Until the guest has stored something at this offset."""
    with memoryview(instance.exports["memory"]) as view:
        while view[offset] == 0:
            pass


def test_two_threads_are_in_one_instance_at_the_same_time(make: Callable[..., Any]) -> None:
    instance = make()
    meet = instance.exports["meet"]
    # Each spins until the other has come: with the GIL held neither would ever see that.
    callers = [Caller(meet, 16, 20), Caller(meet, 20, 16)]
    for caller in callers:
        caller.join()

    assert [caller.outcome for caller in callers] == [42, 42]


def test_guest_and_python_run_at_the_same_time(make: Callable[..., Any]) -> None:
    instance = make()
    caller = Caller(instance.exports["meet"], 16, 20)
    wait_for(instance, 16)
    instance.exports["memory"].write(20, b"\1")
    caller.join()

    assert caller.outcome == 42


@pytest.mark.parametrize("place", PLACES)
def test_another_thread_interrupts_guest_code_wherever_it_is(
    make: Callable[..., Any], place: str
) -> None:
    instance, bystander = make(), make()
    caller = Caller(instance.exports[place])
    wait_for(instance, 8)
    instance.interrupt()
    caller.join()

    assert isinstance(caller.outcome, interlock.Trap)
    assert caller.outcome.kind == "interrupted"
    with pytest.raises(interlock.ClosedError):
        instance.exports["more"](0)
    assert bystander.exports["deep"](10) == 10


def test_interrupts_from_several_threads_end_all_that_are_inside(make: Callable[..., Any]) -> None:
    instance = make()
    callers = [Caller(instance.exports["loop"]) for _ in range(4)]
    wait_for(instance, 8)
    others = [Caller(instance.interrupt) for _ in range(4)]
    for thread in (*callers, *others):
        thread.join()

    assert [other.outcome for other in others] == [None] * 4
    for caller in callers:  # who came too late finds it closed
        assert isinstance(caller.outcome, interlock.Trap | interlock.ClosedError)


def test_an_interrupt_at_any_moment_of_many_short_calls_ends_them(make: Callable[..., Any]) -> None:
    for _ in range(200):
        instance = make()

        def call_for_ever(instance: Any = instance) -> None:
            through, ready = instance.exports["through"], instance.exports["meet"]
            ready(8, 8)
            while True:
                through(1)

        caller = Caller(call_for_ever)
        wait_for(instance, 8)
        instance.interrupt()
        caller.join()
        assert isinstance(caller.outcome, interlock.Trap | interlock.ClosedError)


def test_stack_exhaustion_traps_in_each_thread_at_its_own_limit(make: Callable[..., Any]) -> None:
    instance = make()

    def exhaust() -> list[str]:
        kinds = []
        for _ in range(20):
            assert instance.exports["deep"](1000) == 1000
            with pytest.raises(interlock.Trap) as caught:
                instance.exports["endless"]()
            kinds.append(caught.value.kind)
        return kinds

    callers = [Caller(exhaust) for _ in range(3)]
    own = exhaust()
    for caller in callers:
        caller.join()

    assert [own, *(caller.outcome for caller in callers)] == [["call stack exhausted"] * 20] * 4


def test_exceptions_and_traps_of_host_functions_come_through(make: Callable[..., Any]) -> None:
    def call(number: int) -> int:
        if number == 0:
            raise KeyError("from the host")
        return int(instance.exports["through"](number - 1)) + 1

    instance = make(call)
    with pytest.raises(KeyError, match="from the host"):
        instance.exports["through"](5)

    def trap(_number: int) -> int:
        return int(instance.exports["endless"]())

    instance = make(trap)
    with pytest.raises(interlock.Trap, match="exhausted"):
        instance.exports["through"](1)


def test_what_another_thread_closes_is_closed_for_later_calls(make: Callable[..., Any]) -> None:
    instance = make()
    caller = Caller(instance.exports["meet"], 16, 20)
    wait_for(instance, 16)
    view = memoryview(instance.exports["memory"])
    instance.close()
    with pytest.raises(interlock.ClosedError):
        instance.exports["deep"](1)
    view[20] = 1  # the memory stays as long as the call and the view
    caller.join()
    view.release()

    assert caller.outcome == 42


def test_an_engine_closed_by_another_thread_lets_calls_end() -> None:
    engine = interlock.Engine(interlock.Config(release_gil=True))
    module = engine.compile_wat(WAT)
    instance = engine.instantiate(module, {"host": {"call": lambda number: number}})
    caller = Caller(instance.exports["meet"], 16, 20)
    wait_for(instance, 16)
    view = memoryview(instance.exports["memory"])  # type: ignore[arg-type]
    engine.close()
    view[20] = 1
    caller.join()
    view.release()

    assert caller.outcome == 42
    with pytest.raises(interlock.ClosedError):
        engine.compile_wat("(module)")


def test_memories_grown_by_several_threads_count_every_page(make: Callable[..., Any]) -> None:
    instance = make()

    def grow() -> list[int]:
        return [instance.exports["more"](1) for _ in range(500)]

    with memoryview(instance.exports["memory"]) as view:
        callers = [Caller(grow) for _ in range(4)]
        for caller in callers:
            caller.join()
        assert len(view) == 65536  # a view keeps the length it had
    previous = sorted(page for caller in callers for page in caller.outcome)  # type: ignore[attr-defined]

    assert previous == list(range(1, 2001))
    assert len(instance.exports["memory"]) == 2001 << 16


def test_functions_are_compiled_once_for_threads_that_call_them_at_once(
    shared: interlock.Engine,
) -> None:
    functions = "".join(
        f'(func (export "f{at}") (result i32) (i32.const {at}))' for at in range(20)
    )
    instance = shared.instantiate(shared.compile_wat(f"(module {functions})"))

    def call_all() -> list[object]:
        return [instance.exports[f"f{at}"]() for at in range(20)]  # type: ignore[operator]

    callers = [Caller(call_all) for _ in range(4)]
    for caller in callers:
        caller.join()

    assert [caller.outcome for caller in callers] == [list(range(20))] * 4


def test_imports_from_an_engine_that_holds_the_gil_are_refused(make: Callable[..., Any]) -> None:
    with interlock.Engine() as other:
        module = other.compile_wat('(module (import "a" "deep" (func (param i32) (result i32))))')
        with pytest.raises(interlock.WasmUnlinkableError, match="release_gil"):
            other.instantiate(module, {"a": {"deep": make().exports["deep"]}})


def test_a_process_ends_while_its_threads_are_in_guest_code() -> None:
    script = f"""
import threading
import interlock
engine = interlock.Engine(interlock.Config(release_gil=True))
instance = engine.instantiate(engine.compile_wat({WAT!r}), {{"host": {{"call": lambda number: number}}}})
for name in ("loop", "host", "calls"):
    threading.Thread(target=instance.exports[name], daemon=True).start()
view = memoryview(instance.exports["memory"])
while view[8] == 0:
    pass
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
