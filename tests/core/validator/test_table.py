"""The data table: generated header up to date, and what it says compared with two independent disassemblers."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import capstone
from iced_x86 import (
    Code,
    Decoder,
    Instruction,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)

from tests.core.validator import differential
from tests.core.validator.differential import FACTORY, GENERAL_BITS, WRITES
from tests.core.validator.driver import RODATA_DELTA, Image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.validator.driver import Validator

READS = {OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
PREFIX_BYTES = {"NP": "", "66": "66", "F3": "f3", "F2": "f2", "66F3": "66f3", "66F2": "66f2"}
GENERAL = dict(
    zip(GENERAL_BITS, ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"], strict=False)
) | {getattr(Register, f"R{number}"): f"r{number}" for number in range(8, 16)}
MNEMONICS = {number: name.lower() for name, number in vars(Mnemonic).items() if name.isupper()}


def test_committed_header_is_what_the_generator_makes(tables: Any, instrs: Any, core: Path):
    header = (core / "generated" / "x86_64.h").read_text("ascii")

    assert tables.render(tables.spread(instrs)) == header


def test_class_and_check_numbers_agree_with_the_headers(tables: Any, core: Path):
    header = (core / "include" / "interlock.h").read_text("ascii")
    for number, name in enumerate(tables.CLASSES):
        assert f"IL_CLASS_{name} = 1 << {number}," in header
    assert list(tables.CLASSES) == differential.CLASSES


class Form(NamedTuple):
    """One encoding of a line: under this prefix, with these W and L, its r/m operand a register or memory."""

    code: bytes
    is_16: bool
    w: int
    length: int
    is_memory: bool


@functools.cache
def _forms(instr: Any, *, is_rip: bool = False) -> list[Form]:
    """The line's encodings with reg = r9, rm = r11, [r11] or [rip + ...], vvvv = r10."""
    digit, _, form = instr.modrm.partition(":")
    memory = {"m": (True,), "r": (False,)}.get(form, (True, False) if digit != "-" else (False,))
    first, _, second = instr.prefix.partition("/")
    both = [first, {"": "", "66": first.replace("NP", "") + "66"}.get(second, second)]
    result = []
    for prefix in filter(None, (both[0], {"F366": "66F3", "F266": "66F2"}.get(both[1], both[1]))):
        for w in "01" if instr.w == "*" and prefix == first else instr.w.replace("*", "0"):
            for length in "01" if instr.l == "*" else instr.l.replace("-", "0"):
                for is_memory in memory:
                    mod_rm = _mod_rm(instr, is_memory=is_memory, is_rip=is_rip)
                    code = _encode(instr, prefix, int(w), int(length), mod_rm)
                    is_16 = bool(second) and prefix != first
                    result.append(Form(code, is_16, int(w), int(length), is_memory))
    return result


def _mod_rm(instr: Any, *, is_memory: bool, is_rip: bool) -> int:
    """Bits 7, 6 and 2 to 0 of modrm."""
    if is_memory:
        return 5 if is_rip else 3
    return 0xC0 | {"rm0": 0, "rm2": 2}.get(instr.marks[0] if instr.marks else "", 3)


def _encode(instr: Any, prefix: str, w: int, length: int, mod_rm: int) -> bytes:
    places = {place for place, _, _ in instr.operands}
    digit = instr.modrm.partition(":")[0]
    if instr.space == "vex":
        vvvv = 10 if "vvvv" in places else 0
        inverted_rxb = 0b111 if digit == "-" else 0b010
        head = bytes([0xC4, inverted_rxb << 5 | {"0F": 1, "0F38": 2, "0F3A": 3}[instr.map]])
        mandatory = ("NP", "66", "F3", "F2").index(prefix)
        head += bytes([w << 7 | (~vvvv & 15) << 3 | length << 2 | mandatory])
    else:
        rex = w << 3 | ("reg" in places) << 2 | bool(places & {"rm", "op"})
        head = bytes.fromhex(PREFIX_BYTES[prefix]) + (bytes([0x40 | rex]) if rex else b"")
        head += b"" if instr.map == "00" else bytes.fromhex(instr.map)
    body = bytes([_opcode(instr)])
    if digit != "-":
        body += bytes([mod_rm | (1 if digit == "/r" else int(digit[1:])) << 3])
        body += bytes(4 if mod_rm == 5 else 0)
    is_16 = "/" in instr.prefix and prefix.startswith("66")
    sizes = {"-": 0, "z": 2 if is_16 else 4, "V": 2 if is_16 else 8 if w else 4}
    return head + body + bytes([1]) * sizes.get(instr.immediate, sizes["-"] or _count(instr))


def _opcode(instr: Any) -> int:
    """Of the eight opcodes of +r, the fourth."""
    return int(instr.opcode.removesuffix("+r"), 16) + 3 * instr.opcode.endswith("+r")


def _count(instr: Any) -> int:
    return int(instr.immediate) if instr.immediate.isdigit() else 0


def _accepted(instrs: Any) -> list[Any]:
    return [instr for instr in instrs if instr.denied_by == 0]


def test_every_line_is_accepted_in_each_form(validator: Validator, instrs: Any):
    refused = []
    for instr in _accepted(instrs):
        for form in _forms(instr):
            verdict = validator.first(_image(form.code))
            if verdict is not None and not _is_of_a_branch(instr, verdict):
                refused.append((instr.mnemonic, form.code.hex(), verdict))

    assert refused == []


def _is_of_a_branch(instr: Any, verdict: Any) -> bool:
    """The branches here lead out of the image, and there is no jump table."""
    return verdict.rule == (21 if "indirect_jmp" in instr.marks else 20)


def test_every_direct_branch_must_stay_inside(validator: Validator, instrs: Any):
    """To the byte behind it is inside; one further on is not."""
    count = 0
    for instr in _accepted(instrs):
        if set(instr.marks) & {"jcc", "jmp", "call"}:
            count += 1
            opcode = _forms(instr)[0].code[: -int(instr.immediate)]
            near, far = (n.to_bytes(int(instr.immediate), "little") for n in (0, 1))
            assert validator.first(_image(opcode + near)) is None
            verdict = validator.first(_image(opcode + far))
            assert verdict is not None
            assert verdict.rule == 20

    assert count == 2 * 16 + 3


def _image(code: bytes) -> Image:
    return Image(code=code + b"\xc3")


def test_every_denial_is_the_lines_own_rule(validator: Validator, instrs: Any):
    for instr in instrs:
        if instr.denied_by == 0:
            continue
        opcode = b"" if instr.map == "00" else bytes.fromhex(instr.map)
        digit, _, form = instr.modrm.partition(":")
        modrm = b""
        if digit != "-":
            number = 0 if digit == "/r" else int(digit[1:])
            modrm = bytes([(0x00 if form == "m" else 0xC0) | number << 3])
        prefix = b"\xf3" if instr.prefix == "F3" else b""
        verdict = validator.first(
            _image(prefix + opcode + bytes.fromhex(instr.opcode) + modrm + bytes(2))
        )
        assert verdict is not None
        assert verdict.rule == instr.denied_by, instr


def test_lines_agree_with_iced(tables: Any, instrs: Any):
    """Mnemonic, registers, flags and memory read and written, sizes, class and lock are what iced knows of the encoding."""
    wrong = []
    for instr in _accepted(instrs):
        for form in _forms(instr):
            expected, actual = _named(tables, instr, form), _known(form.code)
            if expected != actual:
                wrong.append((form.code.hex(), instr.mnemonic, expected, actual))

    assert wrong == [], wrong


def test_each_form_that_a_line_lists_is_an_instruction_of_its_own(instrs: Any):
    """Where hardware ignores W, L or the operand-size prefix, the table must not accept both values."""
    wrong = []
    for instr in _accepted(instrs):
        forms = _forms(instr)
        if len({(_decode(form.code).code, form.is_memory) for form in forms}) != len(forms):
            wrong.append((instr.mnemonic, [form.code.hex() for form in forms]))

    assert wrong == [], wrong


# Their result is narrow, so that a wider register changes nothing; iced calls each width an instruction.
NARROW = re.compile("v?(p?movmsk(ps|pd|b)|p(ins|ext)r[bw]|extractps)")


def test_the_wide_form_of_a_narrow_result_is_refused(validator: Validator, instrs: Any):
    count = 0
    for instr in _accepted(instrs):
        if NARROW.fullmatch(instr.mnemonic):
            for form in _forms(dataclasses.replace(instr, w="1")):
                count += 1
                assert validator.first(_image(form.code)) is not None, (instr, form)

    assert count == 31


def test_constants_are_readable_up_to_their_last_byte(validator: Validator, instrs: Any):
    """Rip-relative: by iced's size of each operand; never written, never as a bit string without an end."""
    rodata = bytes(64)
    count = 0
    for instr in _accepted(instrs):
        for form in _forms(instr, is_rip=True):
            if not form.is_memory or instr.memory == "any":
                continue
            known = _known(form.code)
            # Of an address alone, one byte must exist.
            size = known["memory bytes"] or 1
            for outside in (0, 1):
                target = RODATA_DELTA + len(rodata) - size + outside - len(form.code)
                place = _displacement_place(form.code)
                code = form.code[:place] + target.to_bytes(4, "little") + form.code[place + 4 :]
                verdict = validator.first(Image(code=code + b"\xc3", rodata=rodata))
                is_accepted = not outside and "memory" not in known["writes"]
                assert (verdict is None) == is_accepted, (instr, code.hex(), verdict)
                assert verdict is None or verdict.rule == 32, (instr, code.hex(), verdict)
                count += is_accepted

    assert count > 500


def _displacement_place(code: bytes) -> int:
    decoder = Decoder(64, code)
    return decoder.get_constant_offsets(decoder.decode()).displacement_offset


@functools.cache
def _decode(code: bytes) -> Instruction:
    return Decoder(64, code).decode()


def _named(tables: Any, instr: Any, form: Form) -> dict[str, Any]:
    """What the line says of this encoding of it: see _known."""
    names = {"reg": "r9", "rm": "r11", "vvvv": "r10", "op": f"r{8 + (_opcode(instr) & 7)}"}
    general = [(name, access) for name, access in instr.implicit if name in GENERAL.values()]
    reads = {name for name, access in general if "r" in access}
    writes = {name for name, access in general if "w" in access}
    for place, access, kind in instr.operands:
        if place == "rm" and form.is_memory:
            reads.add("r11")
            writes |= {"memory"} if "w" in access else set()
        elif kind in "gb":
            reads |= {names[place]} if "r" in access else set()
            writes |= {names[place]} if "w" in access else set()
    flags = dict(instr.implicit).get("flags", "")
    return {
        "length": len(form.code),
        "mnemonic": instr.mnemonic,
        "reads": reads,
        "writes": writes,
        "flags": ("r" in flags, "w" in flags),
        "memory bytes": _memory_bytes(tables, instr, form),
        "classes": sum(1 << differential.CLASSES.index(name) for name in instr.classes),
        "lock": form.is_memory and "lock" in instr.marks,
    }


def _memory_bytes(tables: Any, instr: Any, form: Form) -> int:
    if not form.is_memory or any(access == "a" for _, access, _ in instr.operands):
        return 0
    if instr.memory == "any":
        return (8 if form.w else 4) >> form.is_16
    log2, scales = tables._memory(instr, is_16=form.is_16)
    return int(1 << log2 + ("MEMORY_W" in scales) * form.w + ("MEMORY_L" in scales) * form.length)


@functools.cache
def _known(code: bytes) -> dict[str, Any]:
    """What iced says of an encoding."""
    instruction = _decode(code)
    info = FACTORY.info(instruction)
    mnemonic = MNEMONICS[instruction.mnemonic]
    reads, writes = set(), set()
    for used in info.used_registers():
        name = GENERAL.get(RegisterExt.full_register(used.register))
        if name:
            reads |= {name} if used.access in READS else set()
            writes |= {name} if used.access in WRITES else set()
    operands = range(instruction.op_count)
    memory = [n for n in operands if instruction.op_kind(n) == OpKind.MEMORY]
    if any(info.op_access(n) in WRITES for n in memory):
        writes.add("memory")
    if mnemonic == "nop" and memory:
        reads.add("r11")  # it names an address, though nothing happens to it
    if mnemonic.startswith("cmov"):
        reads.add("r9")  # what stays as it was counts as read
    is_address = mnemonic in {"lea", "nop"} or mnemonic.startswith("prefetch")
    size = 0 if is_address or not memory else MemorySizeExt.size(instruction.memory_size)
    return {
        "length": instruction.len if instruction.code != Code.INVALID else 0,
        "mnemonic": mnemonic,
        "reads": reads,
        "writes": writes,
        "flags": (bool(instruction.rflags_read), bool(instruction.rflags_modified)),
        "memory bytes": size,
        "classes": differential.classes_of(instruction),
        "lock": bool(memory) and instruction.op_code().can_use_lock_prefix,
    }


def test_lengths_and_writes_agree_with_capstone(tables: Any, instrs: Any):
    """Capstone is no ancestor of the table, so it is asked too: length, and each general register it says is written."""
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    disassembler.detail = True
    wrong = []
    for instr in _accepted(instrs):
        for form in _forms(instr):
            found = next(disassembler.disasm(form.code, 0), None)
            if found is None or found.size != len(form.code):
                wrong.append((instr.mnemonic, form.code.hex(), "length"))
                continue
            expected = _named(tables, instr, form)["writes"]
            # Subset only: capstone 5 knows fewer implicit writes than the manual.
            actual = {_full(found.reg_name(number)) for number in found.regs_access()[1]} - {None}
            if not actual <= expected | CAPSTONE_SAYS_TOO_MUCH.get(instr.mnemonic, set()):
                wrong.append((instr.mnemonic, form.code.hex(), sorted(actual - expected)))

    assert wrong == [], wrong


# Capstone 5 calls these written; the manual does not.
CAPSTONE_SAYS_TOO_MUCH: dict[str, set[str]] = {
    "cdq": {"rax"},
    "cqo": {"rax"},
    "cwd": {"rax"},
    "test": {"rax"},
}


def _full(name: str) -> str | None:
    register = getattr(Register, name.upper(), None)
    return None if register is None else GENERAL.get(RegisterExt.full_register(register))
