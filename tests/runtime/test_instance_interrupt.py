"""`Instance.interrupt`, called by a host function: its caller ends when it returns, and what is not linked goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]

WAT = """(module (import "host" "ready" (func $ready)) (memory (export "memory") 1 65536) (table 8 1000000 funcref)
  (data $bytes "0123456789") (elem $refs func $ready $leaf)
  (func (export "loop") (call $ready) (loop (br 0)))
  (func (export "calls") (call $ready) (loop (call $leaf) (br 0)))
  (func $leaf (drop (i32.load (i32.const 0))))
  (func (export "host") (loop (call $ready) (br 0)))
  (func (export "fill") (call $ready) (drop (memory.grow (i32.const 1023)))
    (loop (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x4000000)) (br 0)))
  (func (export "copy") (call $ready) (drop (memory.grow (i32.const 1023)))
    (loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ffffff)) (br 0)))
  (func (export "init") (call $ready)
    (loop (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 10)) (br 0)))
  (func (export "grow") (call $ready) (loop (drop (memory.grow (i32.const 0))) (br 0)))
  (func (export "table") (call $ready) (drop (table.grow (ref.null func) (i32.const 999992)))
    (loop (table.fill (i32.const 0) (ref.func $leaf) (i32.const 1000000))
      (table.copy (i32.const 1) (i32.const 0) (i32.const 999999))
      (table.init $refs (i32.const 0) (i32.const 0) (i32.const 1)) (br 0)))
  (func (export "deep") (call $ready) (call $recurse))
  (func $recurse (local i32) (loop (call $leaf) (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))
    (call $recurse) (call $leaf))
  (func (export "answer") (result i32) (i32.const 42)))"""
PLACES = ("loop", "calls", "host", "fill", "copy", "init", "grow", "table")


@pytest.mark.parametrize("place", PLACES)
def test_the_caller_ends_when_the_host_function_returns(make: Make, place: str) -> None:
    calls: list[int] = []

    def ready() -> None:
        calls.append(1)
        instance.interrupt()

    instance = make(WAT, host={"ready": ready})
    with pytest.raises(interlock.Trap, match="interrupted"):
        instance.exports[place]()

    assert len(calls) == 1
    assert instance.is_closed
    with pytest.raises(interlock.ClosedError):
        instance.exports["answer"]()


def test_an_instance_that_does_not_run_is_closed(make: Make) -> None:
    instance = make(WAT, host={"ready": lambda: None})
    answer = instance.exports["answer"]
    instance.interrupt()
    instance.interrupt()

    with pytest.raises(interlock.ClosedError):
        answer()


def test_calls_between_two_calls_of_the_interrupted_one_go_on_to_their_end(make: Make) -> None:
    said: list[object] = []

    def inner_ready() -> None:
        outer.interrupt()

    def outer_ready() -> None:
        said.append(other.exports["twice"]())
        said.append(other.exports["answer"]())

    other = make(
        """(module (import "host" "ready" (func $ready)) (memory 1)
          (func (export "twice") (result i32) (call $ready) (memory.fill (i32.const 0) (i32.const 1) (i32.const 9))
            (call $ready) (i32.load8_u (i32.const 8)))
          (func (export "answer") (result i32) (i32.const 42)))""",
        host={"ready": inner_ready},
    )
    outer = make(WAT, host={"ready": outer_ready})
    with pytest.raises(interlock.Trap, match="interrupted"):
        outer.exports["loop"]()

    assert said == [1, 42]
    assert not other.is_closed
    assert other.exports["answer"]() == 42


def test_linked_instances_end_together(make: Make) -> None:
    def ready() -> None:
        library.interrupt()

    library = make(WAT, host={"ready": ready})
    user = make(
        '(module (import "library" "loop" (func $loop)) (func (export "f") (call $loop)))',
        library={"loop": library.exports["loop"]},
    )
    bystander = make(WAT, host={"ready": lambda: None})
    with pytest.raises(interlock.Trap, match="interrupted"):
        user.exports["f"]()

    assert user.is_closed
    assert library.is_closed
    assert bystander.exports["answer"]() == 42


def test_a_host_function_that_waits_ends_when_another_thread_interrupts(
    engine: interlock.Engine,
) -> None:
    wat = """(module (import "host" "ready" (func $ready))
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 24) "\\00\\10\\a5\\d4\\e8")
      (func (export "sleep") (call $ready)
        (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"""
    is_there = threading.Event()
    instance: Any = engine.instantiate(
        engine.compile_wat(wat), {"host": {"ready": is_there.set}}, wasi=interlock.Wasi()
    )
    outcome: list[str] = []

    def sleep() -> None:  # for a thousand seconds
        with pytest.raises(interlock.Trap) as caught:
            instance.exports["sleep"]()
        outcome.append(caught.value.kind)

    thread = threading.Thread(target=sleep)
    thread.start()
    is_there.wait()
    instance.interrupt()
    thread.join()

    assert outcome == ["interrupted"]
