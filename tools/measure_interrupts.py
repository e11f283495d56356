"""How long guest code goes on after an interrupt: by another thread, by a deadline, by Ctrl-C; place by place.

python tools/measure_interrupts.py [--tries 200]
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable

# `ready` stores a byte on which the interrupter spins.
WAT: Final = """(module (import "host" "call" (func $call)) (memory (export "memory") 1 65536) (table 8 10000000 funcref)
  (func $ready (i32.store8 (i32.const 8) (i32.const 1)))
  (func $leaf (drop (i32.load (i32.const 0))))
  (func (export "loop") (call $ready) (loop (br 0)))
  (func (export "calls") (call $ready) (loop (call $leaf) (br 0)))
  (func (export "host function") (call $ready) (loop (call $call) (br 0)))
  (func (export "memory.fill of 1 GiB") (drop (memory.grow (i32.const 16383))) (call $ready)
    (loop (memory.fill (i32.const 64) (i32.const 7) (i32.const 0x3fffffc0)) (br 0)))
  (func (export "memory.copy of 1 GiB") (drop (memory.grow (i32.const 16383))) (call $ready)
    (loop (memory.copy (i32.const 65) (i32.const 64) (i32.const 0x3fffffbf)) (br 0)))
  (func (export "memory.grow") (call $ready) (loop (drop (memory.grow (i32.const 0))) (br 0)))
  (func (export "table.copy of 80 MB") (drop (table.grow (ref.null func) (i32.const 9999992))) (call $ready)
    (loop (table.copy (i32.const 3) (i32.const 2) (i32.const 9999997)) (br 0))))"""


def by_thread(instance: Any, function: Callable[[], object]) -> float:
    """Seconds from the call of `interrupt` in another thread to the end of the guest's."""
    ended: list[float] = []

    def call() -> None:
        try:
            function()
        except interlock.Trap:
            ended.append(time.perf_counter())

    thread = threading.Thread(target=call)
    with memoryview(instance.exports["memory"]) as view:
        thread.start()
        while view[8] == 0:
            time.sleep(0)
    time.sleep(0.002)
    start = time.perf_counter()
    instance.interrupt()
    thread.join()
    return ended[0] - start


def by_deadline(instance: Any, function: Callable[[], object]) -> float:
    """Seconds from the deadline to the end."""
    end = time.perf_counter() + 0.01
    try:
        with instance.deadline(0.01):
            function()
    except interlock.Trap:
        pass
    return time.perf_counter() - end


def by_user(instance: Any, function: Callable[[], object]) -> float:
    """Seconds from the process's SIGINT to KeyboardInterrupt."""
    sent: list[float] = []

    def send() -> None:
        with memoryview(instance.exports["memory"]) as view:
            while view[8] == 0:
                time.sleep(0)
        time.sleep(0.002)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        function()
    except KeyboardInterrupt:
        ended = time.perf_counter()
    thread.join()
    return ended - sent[0]


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200)
    tries = parser.parse_args().tries
    print("| place | interrupted by | median ms | maximum ms |\n| --- | --- | ---: | ---: |")
    with interlock.Engine(interlock.Config(release_gil=True)) as engine:
        module = engine.compile_wat(WAT)
        for index in module.defined_function_indices:
            module.address(index)
        places = [each.name for each in module.validated.module.exports if each.kind.name == "FUNC"]
        for place in places:
            for measure in (by_thread, by_deadline, by_user):
                found = []
                for _ in range(tries):
                    imports: Any = {"host": {"call": lambda: None}}
                    with engine.instantiate(module, imports) as instance:
                        function: Any = instance.exports[place]
                        found.append(1000 * measure(instance, function))
                name = measure.__name__.removeprefix("by_")
                print(f"| {place} | {name} | {statistics.median(found):.2f} | {max(found):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
