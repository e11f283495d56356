"""Mutated programs that are still valid are compiled and run: whatever they do, the host and the engine go on.

The machine code passes the code validator like any other; a trap, a limit or a result are all fine, a crash is not.
"""

from __future__ import annotations

import contextlib
import random

import pytest

import interlock
from interlock import bytecode
from interlock.errors import InterlockError, InternalError
from tests.fuzz.mutation import mutate

MUTATIONS = 4_000  # over all programs; about one in six is valid
SECONDS = 0.2  # for what runs, not for its compilation
CONFIG = interlock.Config(memory_bytes_max=1 << 22, table_elements_max=1000)

PROGRAMS = {
    "memory": """(module (memory (export "memory") 1 8) (global $g (mut i32) (i32.const 7))
      (data (i32.const 8) "interlock") (data $p "passive")
      (func (export "run") (param $n i32) (param $m i32) (result i32) (local $i i32) (local $s i64)
        (memory.fill (i32.const 100) (local.get $n) (i32.const 50))
        (memory.init $p (i32.const 300) (i32.const 0) (i32.const 7))
        (memory.copy (i32.const 200) (i32.const 100) (i32.const 60))
        (loop $again
          (local.set $s (i64.add (local.get $s) (i64.load16_s offset=3 (local.get $i))))
          (i32.store8 offset=400 (local.get $i) (i32.wrap_i64 (local.get $s)))
          (local.set $i (i32.add (local.get $i) (i32.const 2)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 600))))
        (global.set $g (i32.add (global.get $g) (memory.grow (i32.const 1))))
        (data.drop $p)
        (i32.add (i32.wrap_i64 (local.get $s)) (i32.mul (global.get $g) (memory.size)))))""",
    "control": """(module (type $t (func (param i32) (result i32))) (table 4 funcref)
      (elem (i32.const 0) $twice $count $twice)
      (func $twice (type $t) (i32.shl (local.get 0) (i32.const 1)))
      (func $count (type $t) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
        (else (i32.add (i32.const 1) (call $count (i32.sub (local.get 0) (i32.const 1)))))))
      (func $pair (param i32 i32) (result i32 i32) (local.get 1) (local.get 0))
      (func (export "run") (param i32 i32) (result i32)
        (block $c (block $b (block $a
          (br_table $a $b $c (i32.and (local.get 0) (i32.const 3))))
          (return (call_indirect (type $t) (i32.const 21) (i32.const 0))))
          (return (call_indirect (type $t) (i32.const 9) (local.get 1))))
        (call $pair (local.get 0) (local.get 1)) (i32.sub)))""",
    "numbers": """(module (func (export "run") (param i32 i32) (result i32) (local f64 f32 i64)
      (local.set 2 (f64.div (f64.convert_i32_s (local.get 0)) (f64.const 3.5)))
      (local.set 3 (f32.demote_f64 (f64.nearest (f64.max (local.get 2) (f64.const -1e9)))))
      (local.set 4 (i64.rem_s (i64.extend_i32_s (local.get 0)) (i64.const -7)))
      (i32.add (i32.trunc_f64_s (f64.sqrt (f64.abs (local.get 2))))
        (i32.add (i32.trunc_sat_f32_u (local.get 3))
          (i32.xor (i32.div_u (local.get 1) (i32.const 3))
            (i32.rotl (i32.popcnt (i32.wrap_i64 (local.get 4))) (i32.ctz (local.get 1))))))))""",
}
ARGUMENTS = ((0, 1), (-5, 2), (0x7FFFFFFF, 3))


@pytest.mark.parametrize("name", PROGRAMS)
def test_mutated_programs_never_crash_the_host(name: str) -> None:
    data = bytecode.encode(bytecode.parse_wat(PROGRAMS[name]))
    chance = random.Random(name)  # noqa: S311  (a reproducible sequence)
    ran = ended = 0
    with interlock.Engine(CONFIG) as engine:
        for _ in range(MUTATIONS // len(PROGRAMS)):
            mutated = mutate(data, chance)
            try:
                module = engine.compile_wasm(mutated)
            except InternalError:
                raise
            except InterlockError:
                continue
            ran += 1
            ended += _run(engine, module)
            module.close()
        healthy = engine.instantiate(engine.compile_wat(PROGRAMS["numbers"]))
        assert healthy.exports.run(70, 12) == _expected()
    assert ran > 50
    assert ended > 20


def _run(engine: interlock.Engine, module: interlock.Module) -> bool:
    """Whether a call of it returned."""
    has_returned = False
    try:
        with engine.instantiate(module) as instance:
            _compile(module)
            run = instance.exports.get("run")
            with instance.deadline(SECONDS):
                for arguments in ARGUMENTS:
                    with contextlib.suppress(interlock.Trap, TypeError):
                        if callable(run):
                            run(*arguments)
                            has_returned = True
    except InternalError:
        raise
    except (InterlockError, TypeError):
        pass
    return has_returned


def _compile(module: interlock.Module) -> None:
    """Compile every function now: how long that takes depends on the machine, and the deadline is for what runs."""
    for index in module.defined_function_indices:
        try:
            module.address(index)
        except InternalError:
            raise
        except InterlockError:
            pass  # a call of it says so


def _expected() -> int:
    """What `numbers` gives for (70, 12): the standard's arithmetic in Python."""
    root, nearest, remainder = int((70 / 3.5) ** 0.5), 20, 70 % 7
    rotated = remainder.bit_count() << 2  # ctz(12) = 2
    return root + (nearest + ((12 // 3) ^ rotated))
