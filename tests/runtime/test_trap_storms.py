"""Each kind of trap, thousands of times in a row, from several threads, with faulthandler on: the process stays well."""

from __future__ import annotations

import faulthandler
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

import interlock
from tests.core import core_library as lib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAT = """
(module (import "host" "call" (func $host (param i32) (result i32)))
  (type $t (func (param i32) (result i32)))
  (memory 1) (table 3 funcref) (elem (i32.const 0) $host)
  (func (export "unreachable") (param i32) (result i32) unreachable)
  (func (export "divide") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func (export "overflow") (param i32) (result i32)
    (i32.div_s (i32.const -0x80000000) (i32.sub (local.get 0) (i32.const 1))))
  (func (export "convert") (param i32) (result i32)
    (i32.trunc_f64_s (f64.div (f64.convert_i32_s (local.get 0)) (f64.const 0))))
  (func (export "bounds") (param i32) (result i32) (i32.load offset=0xfffffffe (local.get 0)))
  (func (export "fill") (param i32) (result i32)
    (memory.fill (i32.const 65530) (local.get 0) (i32.const 7)) (i32.const 0))
  (func (export "element") (param i32) (result i32) (call_indirect (type $t) (i32.const 0) (i32.const 3)))
  (func (export "null") (param i32) (result i32) (call_indirect (type $t) (i32.const 0) (i32.const 1)))
  (func (export "type") (param i32) (result i32) (call_indirect (result i32) (i32.const 0)))
  (func (export "copy") (param i32) (result i32)
    (table.copy (i32.const 2) (i32.const 0) (i32.const 2)) (i32.const 0))
  (func $deep (export "deep") (param i32) (result i32)
    (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func (export "through") (param i32) (result i32) (call $host (local.get 0))))
"""
KINDS = {
    "unreachable": "unreachable",
    "divide": "integer divide by zero",
    "overflow": "integer overflow",
    "convert": "invalid conversion to integer",
    "bounds": "out of bounds memory access",
    "fill": "out of bounds memory access",
    "element": "undefined element",
    "null": "uninitialized element",
    "type": "indirect call type mismatch",
    "copy": "out of bounds table access",
    "deep": "call stack exhausted",
}
THREADS = 4
IN_A_ROW = 300  # of each kind in each thread: 13,200 traps


@pytest.fixture
def faulthandler_on() -> Iterator[None]:
    was_on = faulthandler.is_enabled()
    faulthandler.enable(sys.__stderr__)
    yield
    if not was_on:
        faulthandler.disable()


def _trap(function: Callable[..., object]) -> str:
    with pytest.raises(interlock.Trap) as caught:
        function(0)
    return caught.value.kind


def test_each_trap_has_its_kind_and_function(make: Callable[..., interlock.Instance]) -> None:
    instance = make(WAT, host={"call": lambda number: number})
    for name, kind in KINDS.items():
        with pytest.raises(interlock.Trap, match=kind) as caught:
            instance.exports[name](0)  # type: ignore[operator]
        assert (caught.value.kind, caught.value.function) == (kind, name)


@pytest.mark.usefixtures("faulthandler_on")
def test_thousands_of_traps_in_several_threads(make: Callable[..., interlock.Instance]) -> None:
    wrong: list[str] = []

    def storm() -> None:
        instance = make(WAT, host={"call": lambda number: number})
        functions = {name: instance.exports[name] for name in KINDS}
        for _ in range(IN_A_ROW):
            for name, kind in KINDS.items():
                try:
                    functions[name](0)  # type: ignore[operator]
                except interlock.Trap as trap:
                    if trap.kind != kind:
                        wrong.append(f"{name}: {trap.kind}")
                else:
                    wrong.append(f"{name}: no trap")

    threads = [threading.Thread(target=storm) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert make(WAT, host={"call": lambda number: number + 1}).exports["through"](41) == 42  # type: ignore[operator]


def test_traps_below_host_functions_end_the_innermost_call(
    make: Callable[..., interlock.Instance],
) -> None:
    seen: list[str] = []

    def descend(depth: int) -> int:
        if depth == 0:
            seen.append(_trap(instance.exports["unreachable"]))  # type: ignore[arg-type]
            return 7
        result: int = instance.exports["through"](depth - 1)  # type: ignore[operator]
        return result + 1

    instance = make(WAT, host={"call": descend})

    assert instance.exports["through"](30) == 37  # type: ignore[operator]
    assert seen == ["unreachable"]


def test_exceptions_of_host_functions_pass_through_the_guest(
    make: Callable[..., interlock.Instance],
) -> None:
    class OwnError(Exception):
        pass

    def fail(_number: int) -> int:
        raise OwnError

    instance = make(WAT, host={"call": fail})
    for _ in range(1000):
        with pytest.raises(OwnError):
            instance.exports["through"](1)  # type: ignore[operator]


def test_host_and_guest_that_call_each_other_for_ever_exhaust_the_stack(
    make: Callable[..., interlock.Instance],
) -> None:
    def call_again(number: int) -> int:
        result: int = instance.exports["through"](number)  # type: ignore[operator]
        return result

    instance = make(WAT, host={"call": call_again})

    with pytest.raises((interlock.Trap, RecursionError)):
        instance.exports["through"](0)  # type: ignore[operator]

    assert _trap(instance.exports["deep"]) == "call stack exhausted"  # type: ignore[arg-type]


@pytest.mark.parametrize("stack_bytes", [256 << 10, 1 << 20, 8 << 20])
def test_threads_of_any_stack_size_exhaust_it_safely(
    make: Callable[..., interlock.Instance], stack_bytes: int
) -> None:
    instance = make(WAT, host={"call": lambda number: number})
    seen: list[str] = []
    previous = threading.stack_size(stack_bytes)
    try:
        thread = threading.Thread(target=lambda: seen.append(_trap(instance.exports["deep"])))  # type: ignore[arg-type]
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()

    assert seen == ["call stack exhausted"]


def test_the_stack_of_an_engine_has_the_size_it_was_given() -> None:
    depths = []
    for stack_bytes in (1 << 16, 1 << 17):
        with interlock.Engine(interlock.Config(stack_bytes_max=stack_bytes)) as engine:
            instance = engine.instantiate(
                engine.compile_wat("""(module (func $f (export "f") (param i32) (result i32)
                  (if (result i32) (local.get 0)
                    (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
                    (else (i32.const 0)))))""")
            )
            low, high = 0, stack_bytes
            while high - low > 1:
                middle = (low + high) // 2
                try:
                    instance.exports["f"](middle)  # type: ignore[operator]
                    low = middle
                except interlock.Trap:
                    high = middle
            depths.append(low)

    # Frames are all alike: twice the stack holds twice as many, and each takes 8 bytes at least.
    assert 0 < depths[0] <= (1 << 16) // 8
    assert abs(depths[1] - 2 * depths[0]) < depths[0] // 8


def test_the_stack_is_watched_in_code_of_another_engine(
    make: Callable[..., interlock.Instance],
) -> None:
    user_wat = """(module (import "other" "deep" (func $deep (param i32) (result i32)))
      (func (export "f") (result i32) (call $deep (i32.const 0))))"""
    with interlock.Engine() as engine:
        deep = make(WAT, host={"call": lambda number: number}).exports["deep"]
        user = engine.instantiate(engine.compile_wat(user_wat), {"other": {"deep": deep}})

        assert _trap(lambda _zero: user.exports["f"]()) == "call stack exhausted"  # type: ignore[operator]


FAULTS = {
    "before": "faulthandler.enable(); engine()",
    "after": "engine(); faulthandler.enable()",
    "again": "engine(); faulthandler.enable(); engine()",
}


@pytest.mark.parametrize("order", FAULTS)
def test_a_fault_of_the_host_still_ends_it_with_its_signal_and_report(order: str) -> None:
    script = f"""
import ctypes, faulthandler, resource
import interlock
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
def engine():
    opened = interlock.Engine()
    instance = opened.instantiate(opened.compile_wat('(module (func (export "f") unreachable))'))
    try:
        instance.exports.f()
    except interlock.Trap as trap:
        print(trap.kind, flush=True)
{FAULTS[order]}
ctypes.string_at(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == -11
    assert set(done.stdout.split()) == {"unreachable"}
    assert done.stderr.count("Fatal Python error: Segmentation fault") == 1


def test_a_handler_of_python_gets_its_own_signals() -> None:
    script = """
import os, signal
import interlock
seen = []
signal.signal(signal.SIGURG, lambda *_: seen.append("urgent"))
signal.signal(signal.SIGILL, lambda *_: seen.append("illegal"))
engine = interlock.Engine()
instance = engine.instantiate(engine.compile_wat('(module (func (export "f") unreachable))'))
for _ in range(3):
    try:
        instance.exports.f()
    except interlock.Trap:
        pass
os.kill(os.getpid(), signal.SIGURG)
os.kill(os.getpid(), signal.SIGILL)
print(seen)
engine.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "['urgent', 'illegal']\n"


def test_native_code_that_faults_is_told_apart_from_a_memory_access() -> None:
    # xor eax, eax; mov eax, [rax] or movz x0, 0; ldr w0, [x0]
    faulting = lib.LANDING + lib.code(x86_64="31c08b00", aarch64="d2800000 b9400000") + lib.RETURN
    with interlock.Region(4096) as region:
        code = region.publish(faulting, entries={"f": 0})
        with pytest.raises(interlock.Trap, match="fault in compiled code"):
            code.function("f", "i32()")()


def test_code_that_is_retired_cannot_be_called() -> None:
    with interlock.Region(4096) as region:
        code = region.publish(lib.returns(7), entries={"f": 0})
        function = code.function("f", "i32()")
        assert function() == 7

        code.retire()

        with pytest.raises(interlock.ClosedError):
            function()
        with pytest.raises(interlock.ClosedError):
            code.address("f")
