"""Ten thousand instances live at once, code memory's shares end with a clear error, and all of it can be had again."""

from __future__ import annotations

import pytest

import interlock

INSTANCES = 10_000
ARENAS_MAX = 4096  # IL_ARENAS_MAX
WAT = """(module (memory 1) (global $n (mut i32) (i32.const 0))
  (func (export "put") (param i32) (i32.store (i32.const 65532) (local.get 0)) (global.set $n (local.get 0)))
  (func (export "get") (result i32) (i32.add (global.get $n) (i32.load (i32.const 65532)))))"""


def test_ten_thousand_instances_keep_apart(engine: interlock.Engine) -> None:
    module = engine.compile_wat(WAT)
    instances = [engine.instantiate(module) for _ in range(INSTANCES)]
    for number, instance in enumerate(instances):
        instance.exports["put"](number)  # type: ignore[operator]

    assert all(
        instance.exports["get"]() == 2 * number  # type: ignore[operator]
        for number, instance in enumerate(instances)
    )
    for instance in instances:
        instance.close()


def _open_until_refused(regions: list[interlock.Region]) -> None:
    while len(regions) <= ARENAS_MAX:
        regions.append(interlock.Region(4096))


def test_shares_of_code_memory_end_with_an_error_and_can_be_had_again() -> None:
    regions: list[interlock.Region] = []
    with pytest.raises(interlock.CodeMemoryError, match="used up"):
        _open_until_refused(regions)

    assert len(regions) > ARENAS_MAX // 2  # others have some
    regions.pop().close()
    with interlock.Engine() as again:
        exports = again.instantiate(again.compile_wat(WAT)).exports
        assert exports["get"]() == 0  # type: ignore[operator]
    for region in regions:
        region.close()
