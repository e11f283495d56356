"""Engines, instances and regions in forked processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULE = """
(module
  (import "host" "again" (func $again (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "thrice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "through_host") (param i32) (result i32) (i32.add (call $again (local.get 0)) (i32.const 1))))
"""
RETURNS_7 = bytes.fromhex("f30f1efa b807000000 c3")
RETURNS_8 = bytes.fromhex("f30f1efa b808000000 c3")
SECONDS_MAX = 60  # of a child: longer is a deadlock


@pytest.fixture
def engine() -> Iterator[interlock.Engine]:
    with interlock.Engine() as made:
        yield made


def in_child(body: Callable[[], bool]) -> bool:
    """Whether body() is true in a forked child."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(SECONDS_MAX)
            status = 0 if body() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def make(engine: interlock.Engine, again: Callable[[int], int] = abs) -> Any:
    return engine.instantiate(engine.compile_wat(MODULE), {"host": {"again": again}})


def test_child_runs_what_is_published_and_compiles_the_rest(engine: interlock.Engine) -> None:
    exports = make(engine).exports
    assert exports.twice(4) == 8

    assert in_child(lambda: (exports.twice(21), exports.thrice(14)) == (42, 42))
    assert (exports.twice(5), exports.thrice(5)) == (10, 15)


def test_child_makes_modules_and_engines_of_its_own(engine: interlock.Engine) -> None:
    make(engine).exports.twice(1)

    def body() -> bool:
        in_old = make(engine).exports.thrice(2)
        with interlock.Engine() as own:
            in_new = make(own).exports.thrice(2)
        return bool(in_old == in_new == 6)

    assert in_child(body)


def test_closing_in_the_child_leaves_the_parent_alone(engine: interlock.Engine) -> None:
    exports = make(engine).exports
    assert exports.twice(4) == 8

    def body() -> bool:
        engine.close()
        with pytest.raises(interlock.ClosedError):
            exports.twice(4)
        return True

    assert in_child(body)
    assert (exports.twice(4), exports.thrice(4)) == (8, 12)


def test_what_the_parent_retires_traps_in_the_child(engine: interlock.Engine) -> None:
    exports = make(engine).exports
    assert exports.twice(4) == 8
    wait, go = os.pipe()

    def body() -> bool:
        os.read(wait, 1)
        try:
            exports.twice(4)
        except interlock.Trap as trap:
            return "retired" in str(trap)
        return False

    pid = os.fork()
    if pid == 0:
        try:
            right = body()
        finally:
            os._exit(0 if right else 1)
    engine.close()
    os.write(go, b"!")
    assert os.waitpid(pid, 0)[1] == 0


def test_memory_is_the_childs_own(engine: interlock.Engine) -> None:
    memory = make(engine).exports.memory
    with memoryview(memory) as view:
        view[0] = 1

    def body() -> bool:
        with memoryview(memory) as view:
            view[0] += 1
            return view[0] == 2

    assert in_child(body)
    with memoryview(memory) as view:
        assert view[0] == 1


def test_fork_in_a_host_function_returns_into_the_guest(engine: interlock.Engine) -> None:
    pids: list[int] = []

    def fork(number: int) -> int:
        pids.append(os.fork())
        return number if pids[0] else number + 1

    exports = make(engine, fork).exports
    result = exports.through_host(1)
    if pids == [0]:
        os._exit(0 if result == 3 and exports.thrice(2) == 6 else 1)
    assert result == 2
    assert os.waitpid(pids[0], 0)[1] == 0


def test_region_goes_on_in_the_child_and_in_its_child() -> None:
    with interlock.Region(4096) as region:
        seven = region.publish(RETURNS_7, entries={"f": 0})
        old = seven.function("f", "i32()")

        def body() -> bool:
            eight = region.publish(RETURNS_8, entries={"f": 0})
            new = eight.function("f", "i32()")
            return (old(), new()) == (7, 8) and in_child(lambda: (old(), new()) == (7, 8))

        assert in_child(lambda: body() and in_child(body))
        assert old() == 7
        region.publish(RETURNS_8, entries={"f": 0})


def test_pool_of_forked_workers(engine: interlock.Engine) -> None:
    exports = make(engine).exports
    exports.twice(1)
    _inherited.append(exports)

    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(_work, range(20))

    assert found == [(2 * number, 3 * number) for number in range(20)]


_inherited: list[Any] = []


def _work(number: int) -> tuple[int, int]:
    return _inherited[0].twice(number), _inherited[0].thrice(number)


def test_locks_of_other_threads_do_not_stop_the_child() -> None:
    script = textwrap.dedent(f"""
        import os, signal, sys, threading
        import interlock
        WAT = {MODULE!r}
        done = False
        with interlock.Engine() as engine:
            def make():
                return engine.instantiate(engine.compile_wat(WAT), {{"host": {{"again": abs}}}})
            def work():
                while not done:
                    with make() as instance:
                        instance.exports.thrice(1)
            make().exports.thrice(1)  # a module that another thread is importing stays locked: Python's own gap
            threads = [threading.Thread(target=work) for _ in range(3)]
            [thread.start() for thread in threads]
            results = []
            for _ in range(12):
                pid = os.fork()
                if pid == 0:
                    signal.alarm({SECONDS_MAX})
                    os._exit(0 if make().exports.thrice(2) == 6 else 1)
                results.append(os.waitpid(pid, 0)[1])
            done = True
            [thread.join() for thread in threads]
        print(set(results))
    """)
    # Python itself warns of forks while there are threads: that is what is tested.
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert (done.stdout.strip(), done.stderr) == ("{0}", "")
