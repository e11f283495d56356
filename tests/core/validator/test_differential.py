"""Whatever is accepted means to other disassemblers what the validator thinks: same length, effects and class, harmless.

`tools/fuzz_x86_64.py` runs the same comparison for as many cases as wanted.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from iced_x86 import Decoder

from tests.core.validator import differential
from tests.core.validator.assembly import compile_ir
from tests.core.validator.differential import Differential
from tests.core.validator.test_llvm import MODULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def decoders(
    core: Path, compiler: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return differential.build(tmp_path_factory.mktemp("decoders"), core, compiler)


@pytest.fixture
def compare(decoders: tuple[Callable[..., Any], Callable[..., Any]]) -> Differential:
    return Differential(decoders)


def test_sample_of_all_kinds(compare: Differential, instrs: Any):
    unseen = differential.run(compare, instrs, cases=60_000, seed=1)

    assert compare.tally.disagreements == []
    assert compare.tally.accepted > 20_000
    # Without a jump table no indirect jump is accepted.
    assert [instrs[number].marks for number in unseen] == [("indirect_jmp",)]


def test_every_register_with_and_without_rex(compare: Differential, instrs: Any):
    """As a byte without REX the numbers 4 to 7 are ah, ch, dh and bh; whether it is a byte, iced knows."""
    cases = [
        _numbered_form(instr, rex, number)
        for instr in instrs
        for rex, number in itertools.product((b"", b"\x40"), range(8))
        if instr.space == "legacy" and not instr.denied_by
    ]

    accepted = compare.compare(cases)

    assert compare.tally.disagreements == []
    assert sum(accepted) > len(cases) // 3


def _numbered_form(instr: Any, rex: bytes, number: int) -> bytes:
    """The line's encoding with this number in each of its register fields."""
    is_in_opcode = instr.opcode.endswith("+r")
    opcode = int(instr.opcode.removesuffix("+r"), 16) + (number if is_in_opcode else 0)
    prefix = instr.prefix.partition("/")[0]
    head = b"" if prefix == "NP" else bytes.fromhex(prefix)
    head += rex + (b"" if instr.map == "00" else bytes.fromhex(instr.map)) + bytes([opcode])
    digit, _, form = instr.modrm.partition(":")
    if digit != "-":
        reg = number if digit == "/r" else int(digit[1:])
        head += bytes([(3 if form == "m" else 0xC0 | number) | reg << 3])
    return head + bytes([1]) * 4


def test_what_the_table_does_not_list_is_refused(compare: Differential, tables: Any, instrs: Any):
    """No encoding counts as harmless because it has no line: each opcode, with each prefix, register or memory, each modrm.reg."""
    listed = {cell for cell, row in tables.spread(instrs).items() if row.rule == 0}
    cells = [
        (space, prefix, map_, opcode, is_register, reg)
        for space, prefix, map_ in itertools.product((0, 1), range(6), range(4))
        for opcode, is_register, reg in itertools.product(range(256), (False, True), range(8))
        if (space, prefix, map_, opcode, is_register, reg) not in listed
        and not (space == 1 and prefix in {3, 5})  # VEX has no 66F3 and 66F2
        and not (space == 0 and _is_prefix(map_, opcode))
    ]
    accepted = compare.compare(
        [_encode(tables, *cell[:4], is_register=cell[4], reg=cell[5]) for cell in cells]
    )

    assert [cell for cell, is_good in zip(cells, accepted, strict=True) if is_good] == []


def _is_prefix(map_: int, opcode: int) -> bool:
    """Or an escape: what follows decides."""
    if map_ > 0:
        return map_ == 1 and opcode in {0x38, 0x3A}
    return opcode in differential.PREFIXES or opcode in {0x0F, 0xC4, 0xC5}


def _encode(
    tables: Any, space: int, prefix: int, map_: int, opcode: int, *, is_register: bool, reg: int
) -> bytes:
    modrm = bytes([(0xC0 if is_register else 0) | reg << 3 | 2, 0, 0])
    if space == 1:
        return bytes([0xC4, 0xE0 | map_, 0x78 | (0, 1, 2, 0, 3)[prefix], opcode]) + modrm
    name = tables.PREFIXES[prefix]
    head = bytes.fromhex(name) if name != "NP" else b""
    return head + bytes.fromhex(tables.MAPS[map_]) * (map_ > 0) + bytes([opcode]) + modrm


@pytest.mark.parametrize("name", ["scalars", "memory"])
def test_mutated_compiled_code(compare: Differential, name: str):
    source = random.Random(name)  # noqa: S311 - a fixed sequence, no secret
    code = compile_ir(MODULES[name], cpu="x86-64-v3").code
    windows = [code[each.ip : each.ip + 15] for each in Decoder(64, code)]
    mutants = differential.mutated_cases(source, windows)

    accepted = compare.compare([next(mutants) for _ in range(10_000)])

    assert compare.tally.disagreements == []
    assert sum(accepted) > 1000


@pytest.mark.parametrize(
    "code",
    [
        b"\x48\x83\xec\x28",  # sub rsp, 40
        b"\x48\x81\xc4\x00\x00\x04\x00",  # add rsp, 262144
        b"\x48\x83\xe4\xe0",  # and rsp, -32
        b"\x48\x8d\x65\xd8",  # lea rsp, [rbp - 40]
        b"\x48\x89\xec",  # mov rsp, rbp
        b"\xc4\xe2\xdb\xf6\xc1",  # mulx rax, rsp, rcx
        b"\x48\x0f\xc1\xe0",  # xadd rax, rsp
    ],
)
def test_every_change_of_two_bytes_of_a_stack_instruction(compare: Differential, code: bytes):
    changed = [
        code[:place] + bytes([first, second]) + code[place + 2 :]
        for place in range(len(code) - 1)
        for first in range(256)
        for second in range(0, 256, 3)
    ]

    accepted = compare.compare(changed)

    assert compare.tally.disagreements == []
    assert sum(accepted) > 100


def test_a_wrong_mask_is_noticed(compare: Differential, monkeypatch: pytest.MonkeyPatch):
    """The comparison itself: an account of iced's which lacks one write is a disagreement."""
    monkeypatch.setattr(differential, "PART_BITS", {})

    compare.compare([b"\x89\xc8"])  # mov eax, ecx

    assert [each.what for each in compare.tally.disagreements] == ["writes by iced"]
