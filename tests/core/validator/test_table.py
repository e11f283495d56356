"""The data table: generated header up to date, and its masks compared with two independent disassemblers."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import capstone
import iced_x86
import pytest
from iced_x86 import Decoder, InstructionInfoFactory, OpAccess, Register, RegisterExt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.validator.driver import Validator

WRITES = (OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE)
READS = (OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE)
PREFIX_BYTES = {"NP": "", "66": "66", "F3": "f3", "F2": "f2", "66F3": "66f3", "66F2": "66f2"}
GENERAL = {
    getattr(Register, name): name.lower()
    for name in ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI")
} | {getattr(Register, f"R{number}"): f"r{number}" for number in range(8, 16)}


@pytest.fixture(scope="module")
def tables(repository: Path) -> Any:
    """tools/generate_tables.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "generate_tables", repository / "tools" / "generate_tables.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate_tables"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def instrs(tables: Any) -> Any:
    return tables.parse((tables.TABLES / "x86_64.instrs").read_text("ascii"))


def test_committed_header_is_what_the_generator_makes(tables: Any, instrs: Any):
    header = (tables.TABLES / "x86_64_table.h").read_text("ascii")

    assert tables.render(tables.spread(instrs)) == header


def test_class_and_check_numbers_agree_with_the_headers(tables: Any, repository: Path):
    header = (repository / "core/include/interlock.h").read_text("ascii")
    for number, name in enumerate(tables.CLASSES):
        assert f"IL_CLASS_{name} = 1 << {number}," in header


def _encodings(instr: Any) -> list[bytes]:
    """The line's encoding with reg = r9, rm = r11 or [r11], vvvv = r10, for each prefix, form, W and L."""
    digit, _, form = instr.modrm.partition(":")
    forms = {"m": (False,), "r": (True,)}.get(form, (False, True) if digit != "-" else (False,))
    first, _, second = instr.prefix.partition("/")
    both = [first, {"": "", "66": first.replace("NP", "") + "66"}.get(second, second)]
    result = []
    for prefix in filter(None, (both[0], {"F366": "66F3", "F266": "66F2"}.get(both[1], both[1]))):
        for w in "01" if instr.w == "*" and prefix == first else instr.w.replace("*", "0"):
            for length in "01" if instr.l == "*" else instr.l.replace("-", "0"):
                result += [
                    _encode(instr, prefix, int(w), int(length), is_register=is_reg)
                    for is_reg in forms
                ]
    return result


def _encode(instr: Any, prefix: str, w: int, length: int, *, is_register: bool) -> bytes:
    places = {place for place, _, _ in instr.operands}
    digit = instr.modrm.partition(":")[0]
    if instr.space == "vex":
        vvvv = 10 if "vvvv" in places else 0
        head = bytes([0xC4, 0b010 << 5 | {"0F": 1, "0F38": 2, "0F3A": 3}[instr.map]])
        mandatory = ("NP", "66", "F3", "F2").index(prefix)
        head += bytes([w << 7 | (~vvvv & 15) << 3 | length << 2 | mandatory])
    else:
        rex = w << 3 | ("reg" in places) << 2 | bool(places & {"rm", "op"})
        head = bytes.fromhex(PREFIX_BYTES[prefix]) + (bytes([0x40 | rex]) if rex else b"")
        head += b"" if instr.map == "00" else bytes.fromhex(instr.map)
    body = bytes([_opcode(instr)])
    if digit != "-":
        reg = 1 if digit == "/r" else int(digit[1:])
        rm = {"rm0": 0, "rm2": 2}.get(instr.marks[0] if instr.marks else "", 3)
        body += bytes([(0xC0 if is_register else 0) | reg << 3 | rm])
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
        if instr.map == "00" and set(instr.marks) & {"jcc", "jmp", "call", "indirect_jmp"}:
            continue
        for code in _encodings(instr):
            verdict = validator.first(_image(code))
            if verdict is not None:
                refused.append((instr.mnemonic, code.hex(), verdict))
    refused = [item for item in refused if item[2].rule != 20]

    assert refused == []


def _image(code: bytes) -> Any:
    from tests.core.validator.driver import Image

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


def test_masks_agree_with_iced(instrs: Any):
    """Each register, flag and memory access that iced knows is one that the line names, and the other way round."""
    factory = InstructionInfoFactory()
    wrong = []
    for instr in _accepted(instrs):
        for code in _encodings(instr):
            instruction = Decoder(64, code).decode()
            if instruction.len != len(code):
                wrong.append((instr.mnemonic, code.hex(), "length"))
                continue
            expected = _named(instr, is_memory=_is_memory(code))
            actual = _used(factory, instruction)
            if {k: v for k, v in expected.items() if v} != actual:
                wrong.append((instr.mnemonic, code.hex(), expected, actual))

    assert wrong == [], wrong


def _is_memory(code: bytes) -> bool:
    immediate = Decoder(64, code).decode()
    return any(
        immediate.op_kind(number) == iced_x86.OpKind.MEMORY for number in range(immediate.op_count)
    )


def _named(instr: Any, *, is_memory: bool) -> dict[str, str]:
    """General registers written, by the line's own account, as iced would name them; and who writes memory."""
    names = {"reg": "r9", "rm": "r11", "vvvv": "r10", "op": f"r{8 + (_opcode(instr) & 7)}"}
    result: dict[str, str] = {}
    for register, access in instr.implicit:
        if register not in ("flags", "mem", "xmm0") and "w" in access:
            result[register] = "w"
    for place, access, kind in instr.operands:
        if kind in "gb" and "w" in access:
            if place == "rm" and is_memory:
                result["memory"] = "w"
            else:
                result[names[place]] = "w"
        if kind == "x" and place == "rm" and is_memory and "w" in access:
            result["memory"] = "w"
    return result


def _used(factory: Any, instruction: Any) -> dict[str, str]:
    info = factory.info(instruction)
    result: dict[str, str] = {}
    for used in info.used_registers():
        name = GENERAL.get(RegisterExt.full_register(used.register))
        if name and used.access in WRITES:
            result[name] = "w"
    for number in range(instruction.op_count):
        if (
            instruction.op_kind(number) == iced_x86.OpKind.MEMORY
            and info.op_access(number) in WRITES
        ):
            result["memory"] = "w"
    return result


def test_lengths_and_writes_agree_with_capstone(instrs: Any):
    """Capstone is no ancestor of the table, so it is asked too: length, and each general register it says is written."""
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    disassembler.detail = True
    wrong = []
    for instr in _accepted(instrs):
        for code in _encodings(instr):
            found = next(disassembler.disasm(code, 0), None)
            if found is None or found.size != len(code):
                wrong.append((instr.mnemonic, code.hex(), "length"))
                continue
            expected = {n for n in _named(instr, is_memory=_is_memory(code)) if n != "memory"}
            # Subset only: capstone 5 knows fewer implicit writes than the manual.
            actual = {_full(found.reg_name(number)) for number in found.regs_access()[1]} - {None}
            if not actual <= expected | CAPSTONE_SAYS_TOO_MUCH.get(instr.mnemonic, set()):
                wrong.append((instr.mnemonic, code.hex(), sorted(actual - expected)))

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
