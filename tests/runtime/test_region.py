"""Machine code that a user brings: what is refused, with which words, and that then nothing was written."""

from __future__ import annotations

import ctypes

import pytest

import interlock
from interlock import core
from interlock.artifacts import CodeOffset, Relocation
from tests.core import core_library as lib

REFUSED_X86_64 = {
    "system call": ("0f05 c3", 12, 4, "0f05"),
    "interrupt": ("cd80 c3", 15, 4, "cd80"),
    "privileged": ("f4 c3", 13, 4, "f4"),
    "control register": ("0f20c0 c3", 13, 4, "0f20c0"),
    "into an instruction": ("eb01 b8c3000000 c3", 20, 4, "eb01"),
    "outside the image": ("e900010000", 20, 4, "e900010000"),
    "unknown": ("0f04 c3", 10, 4, "0f04"),
    "segment": ("64488b00 c3", 14, 4, "64488b00"),
    "protection keys": ("0f01ef c3", 16, 4, "0f01ef"),
    "indirect jump": ("ffe0 cc", 21, 4, "ffe0"),
    "falls through": ("90", 23, 4, ""),
    "cut off": ("b80100", 11, 4, "b80100"),
}
REFUSED_AARCH64 = {
    "system call": ("010000d4 c0035fd6", 12, 4, "010000d4"),
    "privileged": ("00423bd5 c0035fd6", 13, 4, "00423bd5"),
    "outside the image": ("40000014", 20, 4, "40000014"),
    "unknown": ("00000000 c0035fd6", 10, 4, "00000000"),
    "indirect jump": ("00001fd6", 21, 4, "00001fd6"),
    "reserved register": ("120080d2 c0035fd6", 30, 4, "120080d2"),
}
REFUSED = REFUSED_AARCH64 if lib.IS_AARCH64 else REFUSED_X86_64
RETURNS = lib.LANDING + lib.RETURN


def _used() -> tuple[int, bytes]:
    """Bytes taken of the region, and a look at its code."""
    info = core.describe_region()
    return info.code_bytes_used, ctypes.string_at(info.code_base, 1 << 16)


@pytest.mark.parametrize("what", REFUSED)
def test_code_is_refused_with_rule_offset_and_bytes_and_nothing_is_written(what: str) -> None:
    code, rule, offset, seen = REFUSED[what]
    with interlock.Region(4096) as region:
        region.publish(RETURNS, entries={"f": 0})
        before = _used()

        with pytest.raises(interlock.CodeRejectedError) as caught:
            region.publish(lib.LANDING + bytes.fromhex(code), entries={"f": 0})

        assert _used() == before
    rejection = caught.value.rejection
    assert (rejection.rule, rejection.offset, rejection.bytes_seen.hex()) == (rule, offset, seen)
    assert f"V{rule:03d} at {offset:#x}" in str(caught.value)


@pytest.mark.parametrize("symbol", ["elsewhere", ""])
def test_a_relocation_outside_the_import_table_is_refused(symbol: str) -> None:
    code = lib.LANDING + lib.code(x86_64="e800000000", aarch64="94000000") + lib.RETURN
    branch = lib.code(x86_64="e800000000", aarch64="94000000")
    offset = len(lib.LANDING) + (0 if lib.IS_AARCH64 else 1)
    with interlock.Region(4096, imports={"known": 0x1000}) as region:
        before = _used()

        with pytest.raises(interlock.CodeRejectedError) as caught:
            region.publish(
                code,
                entries={"f": 0},
                relocations=(
                    Relocation(offset=CodeOffset(offset), kind=lib.BRANCH[1], symbol=symbol),
                ),
            )

        assert _used() == before
    assert caught.value.rejection.rule == 41
    assert caught.value.rejection.bytes_seen == branch


def test_imports_can_be_called_and_only_they() -> None:
    """`il_is_running` is a C function of this process that takes nothing: inside published code it says 1."""
    address = core.library.CORE.il_is_running
    target = ctypes.cast(address, ctypes.c_void_p).value
    assert target is not None
    # Calls the import, widens the byte that it returns, returns.
    code = lib.LANDING + lib.code(
        x86_64="55 e800000000 5d 0fb6c0 c3",
        aarch64="a9bf7bfd 94000000 a8c17bfd 53001c00 d65f03c0",
    )
    offset, kind = lib.BRANCH
    with interlock.Region(4096, imports={"is_running": target}) as region:
        published = region.publish(
            code,
            entries={"f": 0},
            relocations=(Relocation(offset=CodeOffset(offset), kind=kind, symbol="is_running"),),
        )

        assert published.function("f", "i32()")() == 1


def test_a_region_holds_what_it_was_given_and_no_more() -> None:
    code = RETURNS
    with interlock.Region(2 * 64) as region:
        region.publish(code, entries={"f": 0})
        second = region.publish(code, entries={"f": 0})
        with pytest.raises(interlock.CodeMemoryError, match="quota"):
            region.publish(code, entries={"f": 0})
        second.retire()
        region.publish(code, entries={"f": 0})


def test_a_closed_region_takes_nothing() -> None:
    region = interlock.Region(4096)
    region.close()
    region.close()

    with pytest.raises(interlock.ClosedError):
        region.publish(RETURNS, entries={"f": 0})
