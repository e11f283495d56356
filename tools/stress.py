"""Publishes, retires, calls, traps, interrupts, times out and forks from many threads at once, and checks every result.

python tools/stress.py [--seconds 600] [--seed 1]

Prints how often each happened; exits 1 and says what was wrong when something was.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import os
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS_WITHOUT_PROGRESS_MAX: Final = 120
WAT: Final = """(module (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1 64) (table 4 1000 funcref) (elem (i32.const 0) $number)
  (func $number (export "number") (result i32) (i32.const {number}))
  (func (export "again") (result i32) (call_indirect (result i32) (i32.const 0)))
  (func (export "through") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "sum") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (i32.load8_u (local.get 0))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "fill") (param i32)
    (drop (memory.grow (i32.const 1)))
    (memory.fill (i32.const 0) (local.get 0) (i32.const 0x10000)))
  (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func (export "bounds") (param i32) (result i32) (i32.load offset=0xfffffff0 (local.get 0)))
  (func $endless (export "endless") (result i32) (i32.add (i32.const 1) (call $endless)))
  (func (export "loop") (i32.store8 (i32.const 9) (i32.const 1)) (loop (br 0))))"""
TRAPS: Final = {
    "divide": "integer divide by zero",
    "bounds": "out of bounds memory access",
    "endless": "call stack exhausted",
}


class WrongError(Exception):
    """Something was not as it must be."""


def expect(found: object, wanted: object, what: str) -> None:
    """Raise `WrongError` unless the two are equal."""
    if found != wanted:
        message = f"{what}: {found!r}, not {wanted!r}"
        raise WrongError(message)


class Stress:
    """What the threads share: two engines with compiled modules, counts, and the first thing that went wrong."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.seed = seed
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.engines = [
            interlock.Engine(interlock.Config(release_gil=True)),
            interlock.Engine(),
        ]
        self.modules = {
            (at, number): engine.compile_wat(WAT.format(number=number))
            for at, engine in enumerate(self.engines)
            for number in (7, 8)
        }
        for module in (
            self.modules.values()
        ):  # a thread that is in the compiler when another forks is not in the child
            for index in module.defined_function_indices:
                module.address(index)
        self.end = time.monotonic() + seconds

    @property
    def goes_on(self) -> bool:
        """Whether it is not over, by time or because something was wrong."""
        return not self.wrong and time.monotonic() < self.end

    def instance(self, draw: random.Random) -> tuple[Any, int]:
        """A new instance of any module, and its number."""
        (at, number), module = draw.choice(list(self.modules.items()))
        imports = {"host": {"call": lambda value: value + 1}}
        return self.engines[at].instantiate(module, imports), number

    def run(self, what: Callable[[random.Random], None], index: int) -> None:
        """Do it once and again, each time counted, until it is over."""
        draw = random.Random(f"{self.seed} {index}")  # noqa: S311  (not for secrets)
        while True:
            try:
                what(draw)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is wrong)
                self.wrong.append(f"{what.__name__}: {type(error).__name__}: {error}")
            self.counts[what.__name__] += 1
            if not self.goes_on:
                break

    def calls(self, draw: random.Random) -> None:
        """Results, memory, host functions and traps of an instance of one's own."""
        instance, number = self.instance(draw)
        with instance:
            exports = instance.exports
            for _ in range(20):
                expect(exports["number"](), number, "number")
                expect(exports["again"](), number, "again")
                expect(exports["through"](5), 6, "through")
            byte = draw.randrange(256)
            exports["fill"](byte)
            expect(exports["sum"](1000), 1000 * byte, "sum")
            for name, kind in TRAPS.items():
                try:
                    exports[name](*() if name == "endless" else (0,))
                except interlock.Trap as trap:
                    expect(trap.kind, kind, name)
                else:
                    expect(name, "a trap", name)

    def publishes(self, draw: random.Random) -> None:
        """A whole engine's life: compiled, published, called, closed."""
        number = draw.randrange(1 << 20)
        config = interlock.Config(release_gil=draw.random() < 0.5)
        with interlock.Engine(config) as engine:
            module = engine.compile_wat(WAT.format(number=number))
            for _ in range(3):
                host = {"host": {"call": lambda value: value}}
                expect(engine.instantiate(module, host).exports["number"](), number, "published")  # type: ignore[operator]

    def retires(self, draw: random.Random) -> None:
        """Machine code of a region: published, called, retired."""
        number = draw.randrange(1 << 16)
        with interlock.Region(1 << 16) as region:
            for _ in range(10):
                code = region.publish(
                    b"\xf3\x0f\x1e\xfa\xb8" + number.to_bytes(4, "little") + b"\xc3",
                    entries={"f": 0},
                )
                function = code.function("f", "i32()")
                expect(function(), number, "region")
                code.retire()
                try:
                    function()
                except interlock.ClosedError:
                    continue
                expect("called", "ClosedError", "retired code")

    def interrupts(self, draw: random.Random) -> None:
        """A loop in another thread is interrupted at any moment."""
        module = self.modules[0, 7]
        instance: Any = self.engines[0].instantiate(module, {"host": {"call": lambda value: value}})
        outcome: list[BaseException] = []

        def loop() -> None:
            try:
                instance.exports["loop"]()
            except (interlock.Trap, interlock.ClosedError) as error:
                outcome.append(error)

        thread = threading.Thread(target=loop)
        with memoryview(instance.exports["memory"]) as view:
            thread.start()
            while view[9] == 0 and draw.random() < 0.999:
                time.sleep(0)
        instance.interrupt()
        thread.join()
        expect(len(outcome), 1, "interrupted")
        if isinstance(outcome[0], interlock.Trap):
            expect(outcome[0].kind, "interrupted", "interrupted")

    def times_out(self, draw: random.Random) -> None:
        """A loop of one's own ends at its deadline."""
        instance, _ = self.instance(draw)
        try:
            with instance.deadline(draw.random() / 500):
                instance.exports["loop"]()
        except interlock.Trap as trap:
            expect(trap.kind, "interrupted", "deadline")
        expect(instance.is_closed, True, "closed by the deadline")

    def forks(self, draw: random.Random) -> None:
        """The child calls what is published, and its loop ends at a deadline."""
        instance, number = self.instance(draw)
        exports = instance.exports
        expect(exports["number"](), number, "before the fork")
        loop = exports["loop"]
        with instance.deadline(60):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    if exports["number"]() == number and exports["sum"](10) == 0:
                        with instance.deadline(0.001):
                            loop()
                except interlock.Trap as trap:
                    status = 0 if trap.kind == "interrupted" else 2
                finally:
                    os._exit(status)
            expect(os.waitpid(child, 0)[1], 0, "status of the child")
        instance.close()


def main(argv: list[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-fork", action="store_true")
    args = parser.parse_args(argv)
    faulthandler.enable()
    faulthandler.dump_traceback_later(args.seconds + SECONDS_WITHOUT_PROGRESS_MAX, exit=True)
    stress = Stress(args.seconds, args.seed)
    work = [stress.calls] * 3 + [stress.publishes, stress.retires, stress.interrupts] * 2
    work += [stress.times_out] + [stress.forks] * (not args.without_fork)
    threads = [
        threading.Thread(target=stress.run, args=(what, index)) for index, what in enumerate(work)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faulthandler.cancel_dump_traceback_later()
    for engine in stress.engines:
        engine.close()
    for name, count in sorted(stress.counts.items()):
        print(f"{name} {count}")
    for text in stress.wrong:
        print(text, file=sys.stderr)
    return int(bool(stress.wrong))


if __name__ == "__main__":
    sys.exit(main())
