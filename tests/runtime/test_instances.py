"""Instances that share things, are closed at awkward moments or are forgotten: nothing dangles and nothing leaks."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]

EXPORTER = """
(module (type $t (func (param i32) (result i32)))
  (memory (export "memory") 1 4) (table (export "table") 4 8 funcref)
  (global (export "global") (mut i32) (i32.const 3))
  (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "indirect") (param i32 i32) (result i32)
    (call_indirect (type $t) (local.get 0) (local.get 1))))
"""
IMPORTER = """
(module (import "a" "memory" (memory 1)) (import "a" "table" (table 1 funcref))
  (import "a" "global" (global $g (mut i32)))
  (import "a" "twice" (func $twice (param i32) (result i32)))
  (elem (i32.const 1) $work)
  (func $work (export "work") (param i32) (result i32)
    (global.set $g (local.get 0))
    (i32.store (i32.const 0) (local.get 0))
    (call $twice (local.get 0))))
"""
CALLER = """
(module (import "host" "call" (func $call)) (memory (export "memory") 1)
  (func (export "go") (result i32)
    (i32.store (i32.const 0) (i32.const 5)) (call $call) (i32.load (i32.const 0))))
"""
ENDLESS = """
(module (import "host" "call" (func $call (result i32)))
  (func (export "spin") (loop (br 0)))
  (func (export "ask") (loop (drop (call $call)) (br 0)))
  (func (export "one") (result i32) (i32.const 1)))
"""


def _mappings() -> int:
    return len(Path("/proc/self/maps").read_text(encoding="ascii").splitlines())


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _reservations() -> int:
    """Mappings without access of some gigabytes: those of linear memories."""
    count = 0
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        count += line.split()[1] == "---p" and end - start >= 4 << 30
    return count


def test_importer_and_exporter_share_memory_table_global_and_function(make: Make) -> None:
    exporter = make(EXPORTER)
    importer = make(IMPORTER, a=exporter.exports)

    assert importer.exports.work(7) == 14
    assert exporter.exports["global"].value == 7
    assert exporter.exports.memory.read(0, 4) == b"\7\0\0\0"
    assert exporter.exports.indirect(9, 1) == 18


def test_an_importer_nobody_holds_lives_in_the_exporters_table(make: Make) -> None:
    exporter = make(EXPORTER)
    make(IMPORTER, a=exporter.exports)
    gc.collect()

    assert exporter.exports.indirect(10, 1) == 20
    assert exporter.exports["global"].value == 10


def test_functions_of_a_closed_importer_trap_in_the_exporters_table(make: Make) -> None:
    exporter = make(EXPORTER)
    importer = make(IMPORTER, a=exporter.exports)
    importer.close()
    del importer
    gc.collect()

    with pytest.raises(interlock.Trap, match="retired"):
        exporter.exports.indirect(1, 1)
    assert exporter.exports.memory.read(0, 1) == b"\0"


def test_memory_of_a_closed_exporter_stays_for_its_importer(make: Make) -> None:
    exporter = make(EXPORTER)
    importer = make(IMPORTER, a=exporter.exports)
    memory = exporter.exports.memory
    exporter.close()

    with pytest.raises(interlock.Trap, match="retired"):
        importer.exports.work(6)
    assert memory.read(0, 1) == b"\6"
    importer.close()
    with pytest.raises(interlock.ClosedError):
        memory.read(0, 1)


def test_functions_of_a_closed_engine_trap_elsewhere_whatever_is_published_later(
    make: Make,
) -> None:
    with interlock.Engine() as other:
        exporter = other.instantiate(other.compile_wat(EXPORTER))
        importer = make(IMPORTER, a=exporter.exports)
        assert importer.exports.work(2) == 4
    for _ in range(3):
        with interlock.Engine() as later:
            assert later.instantiate(later.compile_wat(EXPORTER)).exports.twice(4) == 8
            with pytest.raises(interlock.Trap, match="retired"):
                importer.exports.work(2)


def test_a_host_function_may_close_the_instance_that_called_it(make: Make) -> None:
    held: list[Any] = []

    def close() -> None:
        held[0].close()

    held.append(make(CALLER, host={"call": close}))
    before = _reservations()

    assert held[0].exports.go() == 5

    with pytest.raises(interlock.ClosedError):
        held[0].exports.go()
    make(CALLER, host={"call": lambda: None}).close()
    assert _reservations() < before


@pytest.mark.parametrize("what", ["engine", "module"])
def test_a_host_function_may_close_all_below_it(what: str) -> None:
    with interlock.Engine() as engine:
        module = engine.compile_wat(CALLER)
        close = engine.close if what == "engine" else module.close
        instance = engine.instantiate(module, {"host": {"call": close}})

        with pytest.raises(interlock.Trap, match="retired"):
            instance.exports["go"]()  # type: ignore[operator]
        with pytest.raises(interlock.ClosedError):
            instance.exports["go"]()  # type: ignore[operator]


def test_cycles_through_host_functions_are_collected(make: Make) -> None:
    gc.collect()
    before = _reservations()

    def make_cycle() -> weakref.ref[Any]:
        def call_second() -> None:
            second.exports.go()

        first = make(CALLER, host={"call": call_second})
        second = make(CALLER, host={"call": lambda: first})
        first.own = second
        with pytest.raises(TypeError):  # its import returns nothing
            first.exports.go()
        return weakref.ref(first)

    found = [make_cycle() for _ in range(5)]
    gc.collect()

    assert [each() for each in found] == [None] * 5
    make(CALLER, host={"call": lambda: None}).close()
    assert _reservations() <= before


def test_thousands_of_instances_leave_nothing(engine: interlock.Engine) -> None:
    module = engine.compile_wat(EXPORTER)
    engine.instantiate(module).close()
    mappings, descriptors = _mappings(), _descriptors()
    for _ in range(3000):
        engine.instantiate(module).close()

    assert _mappings() <= mappings + 2
    assert _descriptors() == descriptors


def test_a_view_outlives_its_closed_instance(make: Make) -> None:
    instance = make(EXPORTER)
    memory = instance.exports.memory
    before = _reservations()
    view = memory.view()
    instance.close()

    view[0] = 9
    assert (view[0], view.nbytes) == (9, 65536)
    with pytest.raises(interlock.ClosedError):
        memory.view()
    view.release()
    assert _reservations() < before


def test_a_view_keeps_its_length_when_the_memory_grows(make: Make) -> None:
    memory = make(EXPORTER).exports.memory
    view = memory.view()

    assert memory.grow(3) == 1
    assert memory.grow(1) == -1
    assert (view.nbytes, len(memory)) == (65536, 4 * 65536)
    memory.write(65536, b"new")
    assert memory.read(65536, 3) == b"new"


def test_reads_and_writes_end_at_the_memorys_end(make: Make) -> None:
    memory = make(EXPORTER).exports.memory
    memory.write(65534, b"ab")

    assert memory.read(65534, 2) == b"ab"
    for attempt in (
        lambda: memory.read(65534, 3),
        lambda: memory.read(-1, 1),
        lambda: memory.write(65535, b"xy"),
    ):
        with pytest.raises(IndexError):
            attempt()
    assert memory.read(65535, 1) == b"b"


@pytest.mark.parametrize("name", ["spin", "ask"])
def test_a_deadline_ends_what_would_never_end(make: Make, name: str) -> None:
    instance = make(ENDLESS, host={"call": lambda: 0})
    start = time.monotonic()

    with pytest.raises(interlock.Trap, match="interrupted"), instance.deadline(0.05):
        instance.exports[name]()

    assert time.monotonic() - start < 5
    assert instance.is_closed
    with pytest.raises(interlock.ClosedError):
        instance.exports.one()
    assert make(ENDLESS, host={"call": lambda: 0}).exports.one() == 1


def test_of_nested_deadlines_the_earliest_counts(make: Make) -> None:
    instance = make(ENDLESS, host={"call": lambda: 0})

    with (
        pytest.raises(interlock.Trap, match="interrupted"),
        instance.deadline(0.05),
        instance.deadline(60),
    ):
        instance.exports.spin()


def test_a_deadline_that_was_kept_leaves_nothing(make: Make) -> None:
    instance = make(ENDLESS, host={"call": lambda: 0})
    assert instance.exports.one() == 1  # compiled
    with instance.deadline(0.5):
        assert instance.exports.one() == 1
    until = time.monotonic() + 0.7
    while time.monotonic() < until:
        assert instance.exports.one() == 1


@pytest.mark.parametrize(
    ("wat", "kind"),
    [
        ('(module (memory 1) (data (i32.const 65535) "ab"))', "out of bounds memory access"),
        ("(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))", "out of bounds table"),
        ("(module (memory 1) (func $f unreachable) (start $f))", "unreachable"),
    ],
)
def test_an_instantiation_that_fails_frees_what_it_had(make: Make, wat: str, kind: str) -> None:
    gc.collect()
    before = _reservations()

    with pytest.raises(interlock.Trap, match=kind):
        make(wat)

    assert _reservations() <= before  # what other tests left may go in between


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({}, "unknown import a.memory"),
        ({"memory": 1}, "a.memory: the module wants a memory"),
        ({"table": 1}, "a.table: the module wants a table"),
        ({"global": 1}, r"a.global: the module wants a global \(mut i32\)"),
        ({"twice": 5}, "a.twice: the module wants a function"),
        ({"twice": "indirect"}, r"the module wants \(i32\) -> i32, the export is \(i32, i32\)"),
    ],
)
def test_imports_of_another_kind_are_unlinkable(
    make: Make, fields: dict[str, object], detail: str
) -> None:
    exporter = make(EXPORTER)
    given = {**exporter.exports, **fields} if fields else {}
    given |= {name: exporter.exports[each] for name, each in fields.items() if each == "indirect"}

    with pytest.raises(interlock.WasmUnlinkableError, match=detail):
        make(IMPORTER, a=given)


def test_numbers_are_immutable_globals(make: Make) -> None:
    wat = (
        '(module (import "a" "n" (global $n i64)) (func (export "n") (result i64) (global.get $n)))'
    )

    assert make(wat, a={"n": -5}).exports.n() == -5
    assert make(wat, a={"n": 2**63 - 1}).exports.n() == 2**63 - 1
    with pytest.raises(OverflowError):
        make(wat, a={"n": 2**63})


def test_a_memory_above_the_engines_limit_is_refused_at_the_limit() -> None:
    with interlock.Engine(interlock.Config(memory_bytes_max=2 * 65536)) as engine:
        at_limit = engine.instantiate(
            engine.compile_wat(
                """(module (memory 2) (func (export "grow") (param i32) (result i32)
                  (memory.grow (local.get 0))))"""
            )
        )
        grow: Any = at_limit.exports["grow"]
        assert (grow(0), grow(1)) == (2, -1)
        with pytest.raises(interlock.LimitExceededError, match="memory_bytes_max"):
            engine.instantiate(engine.compile_wat("(module (memory 3))"))


def test_code_above_the_engines_limit_is_a_clear_error() -> None:
    with interlock.Engine(interlock.Config(code_bytes_max=64)) as engine:
        instance: Any = engine.instantiate(
            engine.compile_wat('(module (func (export "f") (result i32) (i32.const 1)))')
        )
        with pytest.raises(interlock.CodeMemoryError, match="quota"):
            instance.exports.f()


@pytest.mark.parametrize(
    "trap",
    [
        "(drop (i32.rem_u (i32.const 1) (i32.const 0)))",
        "(drop (i32.load (i32.const -1)))",
        "(unreachable)",
        "(call $deep)",
    ],
)
def test_what_was_done_before_a_trap_is_seen_after_it(make: Make, trap: str) -> None:
    instance = make(f"""(module (memory (export "memory") 1) (global $g (export "g") (mut i32) (i32.const 0))
      (table $t (export "table") 1 funcref) (elem declare func $deep)
      (func $deep (call $deep))
      (func (export "f") (param i32)
        (global.set $g (local.get 0))
        (i32.store (i32.const 4) (local.get 0))
        (table.set $t (i32.const 0) (ref.func $deep))
        {trap})
      (func (export "is_set") (result i32) (i32.eqz (ref.is_null (table.get $t (i32.const 0))))))""")

    with pytest.raises(interlock.Trap):
        instance.exports.f(9)

    assert instance.exports.g.value == 9
    assert instance.exports.memory.read(4, 1) == b"\t"
    assert instance.exports.is_set() == 1


def test_a_trap_names_the_function_of_the_module_it_happened_in(make: Make) -> None:
    inner = make('(module (func $deep (export "f") unreachable))')
    outer = make(
        '(module (import "a" "f" (func $f)) (func (export "go") (call $f)))', a=inner.exports
    )

    with pytest.raises(interlock.Trap, match="unreachable in deep"):
        outer.exports.go()
