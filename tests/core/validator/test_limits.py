"""Limits of an image at the limit and one past it, with our own numbers and with an embedder's."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from interlock import limits
from tests.core.validator.driver import POLICY_MAXIMA, RODATA_DELTA, Image

if TYPE_CHECKING:
    from tests.core.validator.driver import Validator

OK, REJECTED, INVALID_ARGUMENT = 0, 1, 3
IMAGE_SIZE, BRANCH_TARGET, POLICY = 1, 20, 50
NOP, RET, CALL = b"\x90", b"\xc3", b"\xe8\0\0\0\0"
R_X86_64_PLT32, R_AARCH64_CALL26 = 4, 283


def _with_relocations(count: int) -> Image:
    relocations = tuple((5 * at + 1, R_X86_64_PLT32, 0) for at in range(count))
    return Image(code=CALL * count + RET, relocations=relocations, imports=1)


def _with_tables(count: int) -> Image:
    bases = [RODATA_DELTA + 4 * at for at in range(count)]
    rodata = struct.pack(f"<{count}i", *(-base for base in bases))
    tables = tuple((4 * at, 1, base) for at, base in enumerate(bases))
    return Image(code=RET, rodata=rodata, tables=tables)


# For each maximum of il_policy: our own, and an image of which a count is given.
SIZES = {
    "image_code_bytes_max": (
        limits.IMAGE_CODE_BYTES_MAX,
        lambda count: Image(code=NOP * (count - 1) + RET),
    ),
    "image_rodata_bytes_max": (
        limits.IMAGE_RODATA_BYTES_MAX,
        lambda count: Image(code=RET, rodata=bytes(count)),
    ),
    "image_entries_max": (
        limits.IMAGE_ENTRIES_MAX,
        lambda count: Image(code=NOP * (count - 1) + RET, entries=tuple(range(count))),
    ),
    "image_relocations_max": (limits.IMAGE_RELOCATIONS_MAX, _with_relocations),
    "image_tables_max": (limits.IMAGE_TABLES_MAX, _with_tables),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_at_our_limit_is_accepted_and_one_past_it_is_not(
    validator: Validator, name: str
) -> None:
    ours, make = SIZES[name]
    image, larger = make(ours), make(ours + 1)

    assert validator.status(image) == OK
    first = validator.first(larger)
    assert first is not None
    assert first.rule == IMAGE_SIZE


@pytest.mark.parametrize("name", SIZES)
def test_a_size_at_our_limit_is_above_a_policy_of_one_less(validator: Validator, name: str) -> None:
    ours, make = SIZES[name]
    first = validator.first(replace(make(ours), policy={name: ours - 1}))

    assert first is not None
    assert first.rule == POLICY


@pytest.mark.parametrize(
    ("array", "count", "without"),
    [
        ("code", "code_bytes", REJECTED),
        ("rodata", "rodata_bytes", OK),
        ("entries", "entry_count", REJECTED),
        ("relocations", "relocation_count", OK),
        ("jump_tables", "jump_table_count", OK),
    ],
)
def test_an_array_may_be_missing_only_when_it_is_empty(
    validator: Validator, array: str, count: str, without: int
) -> None:
    image = Image(code=RET, missing=array)

    assert validator.status(replace(image, counts={count: 0})) == without
    assert validator.status(replace(image, counts={count: 1})) == INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("null", "status"),
    [("image", INVALID_ARGUMENT), ("verdict", INVALID_ARGUMENT), ("policy", OK)],
)
def test_only_a_policy_may_be_left_out(validator: Validator, null: str, status: int) -> None:
    assert validator.status(Image(code=RET), null=null) == status


@pytest.mark.parametrize("name", POLICY_MAXIMA)
def test_a_policy_wider_than_ours_is_invalid(validator: Validator, name: str) -> None:
    ours = limits.FRAME_BYTES_MAX if name == "frame_bytes_max" else SIZES[name][0]

    assert validator.status(Image(code=RET, policy={name: ours})) == OK
    assert validator.status(Image(code=RET, policy={name: ours + 1})) == INVALID_ARGUMENT


def test_a_policy_that_refuses_an_unknown_class_is_invalid(validator: Validator) -> None:
    image = Image(code=RET, policy={"refused_classes": 1 << 31})

    assert validator.status(image) == INVALID_ARGUMENT


def test_no_policy_permits_an_import_past_the_largest_table(validator: Validator) -> None:
    most = limits.ARENA_IMPORTS_MAX
    image = Image(code=CALL + RET, relocations=((1, R_X86_64_PLT32, most - 1),), imports=most + 2)

    assert validator.status(image) == OK
    for target in (most, most + 1):
        first = validator.first(replace(image, relocations=((1, R_X86_64_PLT32, target),)))
        assert first is not None
        assert first.rule == POLICY


def test_a_policy_looks_at_the_last_relocation_there_may_be(validator: Validator) -> None:
    image = _with_relocations(limits.IMAGE_RELOCATIONS_MAX)
    first = validator.first(replace(image, policy={"refused_imports": 1}))

    assert first is not None
    assert first.rule == POLICY


def test_a_policy_refuses_an_import_of_an_aarch64_call(validator: Validator) -> None:
    code = struct.pack("<2I", 0x94000000, 0xD65F03C0)  # bl, ret
    image = Image(code=code, arch=2, relocations=((0, R_AARCH64_CALL26, 1),), imports=2)

    assert validator.status(image) == OK
    first = validator.first(replace(image, policy={"refused_imports": 1 << 1}))
    assert first is not None
    assert first.rule == POLICY


def test_what_an_image_before_branched_to_is_forgotten(validator: Validator) -> None:
    jump_to_64 = b"\xeb\x3e"
    larger = Image(code=jump_to_64 + NOP * 62 + RET)
    # To its end, into the first jump, and far away.
    bad = [jump_to_64, b"\xeb\xfd", b"\xe9" + struct.pack("<i", 0x7FFFFF00)]
    image = Image(code=b"".join(bad).ljust(63, NOP) + RET)

    assert validator.status(larger) == OK
    found = [(violation.rule, violation.offset) for violation in validator.every(image)]
    assert sorted(found) == [(BRANCH_TARGET, 0), (BRANCH_TARGET, 2), (BRANCH_TARGET, 4)]
