"""Ctrl-C in a Python program ends guest code wherever it is, raises KeyboardInterrupt, and leaves the process well."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.runtime.interrupting import output_under_interrupts

SCRIPT = """
import signal, sys
import interlock
engine = interlock.Engine()
module = engine.compile_wat('''(module (import "host" "call" (func $call)) (memory 1)
  (func (export "ready") (call $call))
  (func (export "spin") (call $call) (loop (br 0)))
  (func (export "host") (loop (call $call) (br 0)))
  (func (export "fill") (call $call)
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))))''')
for index in module.defined_function_indices:
    module.address(index)  # compiled, so that the signal finds guest code
said = []
def call():
    if not said:
        said.append(True)
        print("ready", flush=True)
{prepare}
instance = engine.instantiate(module, {{"host": {{"call": call}}}})
try:
    instance.exports[sys.argv[1]]()
except (KeyboardInterrupt, interlock.Trap) as error:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(type(error).__name__, instance.is_closed)
healthy = engine.instantiate(module, {{"host": {{"call": lambda: print("again")}}}})
healthy.exports.ready()
engine.close()
"""


def _interrupted(where: str, prepare: str = "") -> str:
    """What the program prints when Ctrl-C comes while it is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(prepare=prepare), where],
        stdout=subprocess.PIPE,
        text=True,
    )
    return output_under_interrupts(process)


@pytest.mark.parametrize("where", ["spin", "host", "fill"])
def test_ctrl_c_ends_guest_code(where: str) -> None:
    first, second = _interrupted(where).splitlines()

    assert first.startswith("KeyboardInterrupt")
    assert second == "again"


def test_a_handler_that_raises_nothing_ends_the_guest_with_a_trap() -> None:
    out = _interrupted("spin", "signal.signal(signal.SIGINT, lambda *_: print('seen'))")

    # Left at an arbitrary instruction, the instance is closed.
    assert out.replace("seen\n", "") == "Trap True\nagain\n"
    assert out.startswith("seen\n")
