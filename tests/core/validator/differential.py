"""Batches of encodings before three decoders: the validator's own, iced-x86 and capstone.

What the validator accepts must have the same length to all three, write the same general registers, belong to the class that
the table names, and be harmless by iced's account.  What it refuses is no matter here.
"""

from __future__ import annotations

import ctypes
import random
import subprocess
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import capstone
from iced_x86 import (
    Code,
    CpuidFeature,
    Decoder,
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CASE_BYTES = 16
BATCH_CASES = 20_000
MUTANTS_MAX = 10_000
RODATA_DELTA = 64 << 20
WRITES = frozenset(
    (OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE)
)
PUSH_LIKE = {Mnemonic.PUSH, Mnemonic.POP, Mnemonic.CALL, Mnemonic.RET, Mnemonic.LEAVE}
HARMLESS_FLOW = {
    FlowControl.NEXT,
    FlowControl.UNCONDITIONAL_BRANCH,
    FlowControl.CONDITIONAL_BRANCH,
    FlowControl.CALL,
    FlowControl.INDIRECT_CALL,
    FlowControl.RETURN,
    FlowControl.INTERRUPT,  # int3 only
    FlowControl.EXCEPTION,  # ud1, ud2
}
FORBIDDEN_FEATURES = {
    CpuidFeature.FPU,
    CpuidFeature.MMX,
    CpuidFeature.PKU,
    CpuidFeature.XSAVE,
    CpuidFeature.FXSR,
    CpuidFeature.AVX512F,
    CpuidFeature.FSGSBASE,
    CpuidFeature.RTM,
    CpuidFeature.SYSCALL,
    CpuidFeature.TSC,
    CpuidFeature.MSR,
}
SEGMENTS = {Register.ES, Register.CS, Register.SS, Register.DS, Register.FS, Register.GS}
GENERAL_BITS = {
    getattr(Register, name): 1 << number
    for number, name in enumerate(
        ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{n}" for n in range(8, 16))]
    )
}
# Every part of a general register.
PART_BITS = {
    register: GENERAL_BITS[RegisterExt.full_register(register)]
    for register in range(256)
    if RegisterExt.is_gpr(register) and RegisterExt.full_register(register) in GENERAL_BITS
}
RSP_BIT = GENERAL_BITS[Register.RSP]
FACTORY = InstructionInfoFactory()
CLASSES = [
    "INTEGER",
    "STACK",
    "BRANCH",
    "INDIRECT",
    "STRING",
    "ATOMIC",
    "BIT",
    "SSE",
    "AVX",
    "FMA",
    "TRAP",
    "NOP",
]  # validate.h
_BIT = {name: 1 << number for number, name in enumerate(CLASSES)}
_FLOW_CLASS = {
    FlowControl.UNCONDITIONAL_BRANCH: _BIT["BRANCH"],
    FlowControl.CONDITIONAL_BRANCH: _BIT["BRANCH"],
    FlowControl.CALL: _BIT["BRANCH"],
    FlowControl.RETURN: _BIT["BRANCH"],
    FlowControl.INDIRECT_CALL: _BIT["INDIRECT"],
    FlowControl.INDIRECT_BRANCH: _BIT["INDIRECT"],
    FlowControl.INTERRUPT: _BIT["TRAP"],
    FlowControl.EXCEPTION: _BIT["TRAP"],
}
_NOPS = {
    Mnemonic.NOP,
    Mnemonic.PAUSE,
    Mnemonic.ENDBR64,
    Mnemonic.PREFETCHW,
    Mnemonic.PREFETCHNTA,
    Mnemonic.PREFETCHT0,
    Mnemonic.PREFETCHT1,
    Mnemonic.PREFETCHT2,
}
_FENCES = {Mnemonic.MFENCE, Mnemonic.LFENCE, Mnemonic.SFENCE}
_FEATURE_CLASS = {
    getattr(CpuidFeature, feature): _BIT[name]
    for name, features in {
        "BIT": "BMI1 BMI2 ADX POPCNT LZCNT",
        "SSE": "SSE SSE2 SSE3 SSSE3 SSE4_1 SSE4_2",
        "AVX": "AVX AVX2",
        "FMA": "FMA F16C",
    }.items()
    for feature in features.split()
}


class Decoded(ctypes.Structure):
    """As in decode_batch_x86_64.c."""

    _fields_ = [
        ("writes", ctypes.c_uint16),
        ("classes", ctypes.c_uint16),
        ("rule", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("check", ctypes.c_uint8),
        ("memory_bytes_log2", ctypes.c_uint8),
    ]


class CapstoneDecoded(ctypes.Structure):
    """As in decode_batch_capstone.c."""

    _fields_ = [
        ("writes", ctypes.c_uint16),
        ("length", ctypes.c_uint8),
        ("is_privileged", ctypes.c_uint8),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One encoding about which the decoders differ."""

    what: str
    encoding: str
    text: str  # iced's
    ours: Any
    theirs: Any


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run saw."""

    cases: int = 0
    accepted: int = 0
    codes: set[int] = field(default_factory=set)  # iced's opcodes that were accepted
    disagreements: list[Disagreement] = field(default_factory=list)


def build(
    out_dir: Path, core: Path, compiler: Sequence[str]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compiles both batch decoders and returns their functions."""
    python_package = Path(capstone.__file__).parent
    library = python_package / "lib" / "libcapstone.so"
    flags = ["-std=c11", "-w", "-fPIC", "-shared", "-fvisibility=hidden"]
    ours, theirs = out_dir / "decode_batch_x86_64.so", out_dir / "decode_batch_capstone.so"
    includes = [f"-I{core / 'include'}", f"-I{core / 'src'}"]
    sources = [core / "tests" / "decode_batch_x86_64.c", core / "src" / "validate.c"]
    sources.append(core / "src" / "validate_aarch64.c")
    subprocess.run([*compiler, *flags, *includes, *sources, "-o", ours], check=True)
    source = core / "tests" / "decode_batch_capstone.c"
    headers = f"-I{python_package / 'include'}"
    link = [library, f"-Wl,-rpath,{library.parent}"]
    subprocess.run([*compiler, *flags, headers, source, *link, "-o", theirs], check=True)
    return ctypes.CDLL(str(ours)).decode_batch, ctypes.CDLL(str(theirs)).capstone_batch


class Differential:
    """Compares batches and counts."""

    def __init__(self, decoders: tuple[Callable[..., Any], Callable[..., Any]]) -> None:
        self._ours, self._capstone = decoders
        self._facts: dict[tuple[int, bool, bool], tuple[int, str]] = {}
        self.tally = Tally()

    def compare(self, cases: Sequence[bytes]) -> list[bool]:
        """Compares one batch; says which cases the validator accepts."""
        count = len(cases)
        data = b"".join(case[:CASE_BYTES].ljust(CASE_BYTES, b"\xcc") for case in cases)
        ours, theirs = (Decoded * count)(), (CapstoneDecoded * count)()
        self._ours(data, ctypes.c_uint32(count), ours)
        if self._capstone(data, ctypes.c_uint32(count), theirs) != 0:
            raise OSError("capstone cannot be opened")
        accepted = []
        for index in range(count):
            mine = ours[index]
            accepted.append(mine.rule == 0)
            if mine.rule == 0:
                start = index * CASE_BYTES
                self._compare_one(data[start : start + CASE_BYTES], mine, theirs[index])
        self.tally.cases += count
        self.tally.accepted += sum(accepted)
        return accepted

    def _compare_one(self, encoding: bytes, mine: Decoded, theirs: CapstoneDecoded) -> None:
        instruction = Decoder(64, encoding).decode()
        code = instruction.code
        self.tally.codes.add(code)
        if instruction.len != mine.length:
            self._differ("length by iced", encoding, instruction, mine.length, instruction.len)
            return
        key = (code, has_memory_operand(instruction), instruction.has_lock_prefix)
        facts = self._facts.get(key)
        if facts is None:
            facts = self._facts[key] = (
                classes_of(instruction),
                harm_of(instruction, encoding[0]),
            )
        if facts[1]:
            self._differ(facts[1], encoding, instruction, "accepted", facts[1])
        if mine.classes != facts[0]:
            self._differ("class", encoding, instruction, mine.classes, facts[0])
        writes, problem = effects_of(instruction)
        if problem:
            self._differ(problem, encoding, instruction, "accepted", problem)
        if writes != mine.writes:
            self._differ("writes by iced", encoding, instruction, mine.writes, writes)
        self._compare_capstone(encoding, instruction, mine, theirs)

    def _compare_capstone(
        self, encoding: bytes, instruction: Instruction, mine: Decoded, theirs: CapstoneDecoded
    ) -> None:
        if theirs.length != mine.length:
            if not is_capstone_wrong_about_length(instruction, theirs.length):
                self._differ(
                    "length by capstone", encoding, instruction, mine.length, theirs.length
                )
            return
        if theirs.is_privileged:
            self._differ("privileged to capstone", encoding, instruction, "accepted", "privileged")
        extra = CAPSTONE_ADDS.get(instruction.mnemonic, 0)
        missing = CAPSTONE_LACKS.get(instruction.mnemonic, 0)
        if theirs.writes & ~mine.writes & ~extra or mine.writes & ~theirs.writes & ~missing:
            self._differ("writes by capstone", encoding, instruction, mine.writes, theirs.writes)

    def _differ(
        self, what: str, encoding: bytes, instruction: Instruction, ours: Any, theirs: Any
    ) -> None:
        self.tally.disagreements.append(
            Disagreement(
                what=what,
                encoding=encoding[: max(1, instruction.len)].hex(" "),
                text=str(instruction),
                ours=ours,
                theirs=theirs,
            )
        )


# What capstone 5 says is written and the manual does not, and the other way round, by register mask.
_RAX = GENERAL_BITS[Register.RAX]
CAPSTONE_ADDS = dict.fromkeys((Mnemonic.CDQ, Mnemonic.CQO, Mnemonic.CWD, Mnemonic.TEST), _RAX)
CAPSTONE_LACKS = {Mnemonic.CMPXCHG: _RAX}


def is_capstone_wrong_about_length(instruction: Instruction, length: int) -> bool:
    """Capstone 5 takes ud1 for an instruction without operands."""
    return instruction.mnemonic == Mnemonic.UD1 and length == instruction.len - 2


def classes_of(instruction: Instruction) -> int:
    """The classes that an instruction belongs to, by what iced knows of it."""
    mnemonic = instruction.mnemonic
    locked = _BIT["ATOMIC"] if instruction.has_lock_prefix else 0
    if mnemonic in _NOPS:
        return _BIT["NOP"]
    if instruction.flow_control in _FLOW_CLASS:
        return _FLOW_CLASS[instruction.flow_control]
    if instruction.is_stack_instruction:
        return _BIT["STACK"]
    if instruction.is_string_instruction:
        return _BIT["STRING"]
    if mnemonic in _FENCES:
        return _BIT["ATOMIC"]
    if mnemonic == Mnemonic.XCHG and has_memory_operand(instruction):
        return _BIT["ATOMIC"] | _BIT["INTEGER"]
    if mnemonic == Mnemonic.CRC32:  # of SSE 4.2, but it works on general registers
        return _BIT["BIT"]
    features = [_FEATURE_CLASS.get(feature, 0) for feature in instruction.cpuid_features()]
    return (max(features) or _BIT["INTEGER"]) | locked


def has_memory_operand(instruction: Instruction) -> bool:
    """Whether an explicit operand is memory."""
    return OpKind.MEMORY in {instruction.op_kind(n) for n in range(instruction.op_count)}


def harm_of(instruction: Instruction, first_byte: int) -> str:
    """Why no published code may hold the instruction, whatever its operands are; empty when it may."""
    if instruction.code == Code.INVALID:
        return "invalid to iced"
    if instruction.flow_control not in HARMLESS_FLOW:
        return "flow"
    if instruction.flow_control == FlowControl.INTERRUPT and first_byte != 0xCC:
        return "interrupt"
    if instruction.is_privileged:
        return "privileged"
    if set(instruction.cpuid_features()) & FORBIDDEN_FEATURES:
        return "forbidden feature"
    return ""


def effects_of(instruction: Instruction) -> tuple[int, str]:
    """Mask of the general registers that are written, and what is wrong with the effects."""
    writes, problem = 0, ""
    if instruction.segment_prefix not in {Register.NONE, Register.CS}:
        problem = "segment prefix"
    info = FACTORY.info(instruction)
    for used in info.used_registers():
        if used.access in WRITES:
            register = used.register
            writes |= PART_BITS.get(register, 0)
            if register in SEGMENTS:
                problem = "segment register"
    if writes & RSP_BIT and not is_stack_discipline(instruction):
        problem = "stack pointer"
    for memory in info.used_memory():
        if memory.segment in {Register.FS, Register.GS}:
            problem = "segment"
    return writes, problem


def is_stack_discipline(instruction: Instruction) -> bool:
    """The rule of V030 and V031, written a second time and on iced's view of the instruction."""
    frame = 256 << 10
    if instruction.mnemonic in PUSH_LIKE:
        return instruction.mnemonic != Mnemonic.POP or instruction.op0_register != Register.RSP
    if instruction.op0_register != Register.RSP:
        return False
    signed = instruction.memory_displacement - (
        1 << 64 if instruction.memory_displacement >> 63 else 0
    )
    match instruction.mnemonic:
        case Mnemonic.ADD | Mnemonic.SUB:
            immediate = instruction.immediate(1)
            return immediate <= frame or 2**64 - immediate <= frame
        case Mnemonic.AND:
            return 2**64 - instruction.immediate(1) in {16, 32, 64}
        case Mnemonic.MOV:
            return instruction.op1_register == Register.RBP
        case Mnemonic.LEA:
            low = 0 if instruction.memory_base == Register.RBP else frame
            is_plain = instruction.memory_index == Register.NONE
            is_based = instruction.memory_base in {Register.RSP, Register.RBP}
            return is_plain and is_based and -frame <= signed <= low
    return False


# ---- Cases ------------------------------------------------------------------------------------------------------------------
PREFIXES = bytes.fromhex("662e3e2636646567f0f2f3") + bytes(range(0x40, 0x50))
_MANDATORY = {"NP": b"", "66": b"\x66", "F3": b"\xf3", "F2": b"\xf2"} | {
    "66F3": b"\x66\xf3",
    "66F2": b"\x66\xf2",
}
_HEADS = [
    bytes.fromhex(head)
    for head in [
        "0f",
        "480f",
        "660f",
        "f30f",
        "f20f",
        "0f38",
        "0f3a",
        "660f38",
        "660f3a",
        "f20f38",
        "f30f38",
        "66f20f38",
        "f0",
        "66",
        "48",
        "44",
        "4c",
        "c5",
        "c4e1",
        "c4e2",
        "c4e3",
        "c442",
        "c401",
    ]
]


# Matched whole: the trap word and the nops of more than nine bytes.
FIXED_FORMS = [b"\x67\x0f\xb9\x40\x05"] + [
    b"\x66" * repeats + bytes.fromhex("2e0f1f840000000000") for repeats in range(1, 7)
]


def random_cases(source: random.Random) -> Iterator[bytes]:
    """Random bytes, every second time behind prefixes and escapes."""
    while True:
        yield source.randbytes(15)
        yield (source.choice(_HEADS) + source.randbytes(14))[:15]


def row_cases(source: random.Random, rows: Sequence[Any]) -> Iterator[bytes]:
    """Each row of the table in turn, its free fields random."""
    while True:
        for row in rows:
            yield instantiate(row, source)


def prefix_cases(source: random.Random, rows: Sequence[Any]) -> Iterator[bytes]:
    """A row behind one to three prefixes of any kind, in any order."""
    for case in row_cases(source, rows):
        yield (bytes(source.choices(PREFIXES, k=source.randrange(1, 4))) + case)[:15]


def mutated_cases(source: random.Random, seeds: list[bytes]) -> Iterator[bytes]:
    """Accepted encodings with one to three bits or bytes changed."""
    while True:
        case = bytearray(source.choice(seeds))
        for _ in range(source.randrange(1, 4)):
            place = source.randrange(min(len(case), 8))
            case[place] = (
                source.getrandbits(8)
                if source.random() < 0.5
                else case[place] ^ 1 << source.randrange(8)
            )
        yield bytes(case)


def run(differential: Differential, rows: Sequence[Any], *, cases: int, seed: int) -> set[int]:
    """Compares so many cases of all kinds; returns the numbers of the rows of which none was accepted."""
    source = random.Random(seed)  # noqa: S311 - a fixed sequence, no secret
    by_row, mutants = row_cases(source, rows), [*FIXED_FORMS]
    # Parts of ten: rows half of all, so that each is met often.
    kinds = (
        (5, by_row),
        (2, mutated_cases(source, mutants)),
        (2, random_cases(source)),
        (1, prefix_cases(source, rows)),
    )
    unseen = {n for n, row in enumerate(rows) if row.denied_by == 0}
    row_number = 0
    batch = min(cases, BATCH_CASES)
    for _ in range(max(1, cases // batch)):
        for parts, kind in kinds:
            encodings = list(islice(kind, batch * parts // 10))
            accepted = differential.compare(encodings)
            if kind is by_row:
                for is_accepted in accepted:
                    if is_accepted:
                        unseen.discard(row_number)
                    row_number = (row_number + 1) % len(rows)
            good = [case for case, is_good in zip(encodings, accepted, strict=True) if is_good]
            mutants[len(FIXED_FORMS) :] = mutants[-MUTANTS_MAX // 2 :] + good[: MUTANTS_MAX // 2]
    return unseen


def instantiate(row: Any, source: random.Random) -> bytes:
    """One encoding of a line of x86_64.instrs; registers, addresses and immediates are random."""
    names = list(_MANDATORY)
    if row.prefix == "any":
        prefix = source.choice(names)
    elif "/" in row.prefix:
        first = row.prefix.partition("/")[0]
        prefix = source.choice((first, {"NP": "66", "F3": "66F3", "F2": "66F2"}[first]))
    else:
        prefix = row.prefix
    bit = source.getrandbits
    w = bit(1) if row.w == "*" else int(row.w)
    if row.space == "vex":
        length = bit(1) if row.l == "*" else int(row.l)
        vvvv = bit(4) if any(place == "vvvv" for place, _, _ in row.operands) else 0
        head = _vex(row, prefix, w, length, vvvv, source)
    else:
        head = _MANDATORY[prefix]
        if "lock" in row.marks and bit(2) == 0:
            head += b"\xf0"
        rex = w << 3 | (bit(3) if bit(1) else 0)
        head += bytes([0x40 | rex]) if rex or bit(4) == 0 else b""
        head += b"" if row.map == "00" else bytes.fromhex(row.map)
    opcode = int(row.opcode.removesuffix("+r"), 16)
    head += bytes([opcode + (bit(3) if row.opcode.endswith("+r") else 0)])
    return (head + _modrm(row, source) + _immediates(source))[:15]


def _vex(row: Any, prefix: str, w: int, length: int, vvvv: int, source: random.Random) -> bytes:
    last = (~vvvv & 15) << 3 | length << 2 | ("NP", "66", "F3", "F2").index(prefix)
    rxb = source.getrandbits(3) if source.getrandbits(1) else 7
    if row.map == "0F" and not w and source.getrandbits(1):
        return bytes([0xC5, (rxb & 4) << 5 | last])
    return bytes([0xC4, rxb << 5 | {"0F": 1, "0F38": 2, "0F3A": 3}[row.map], w << 7 | last])


def _modrm(row: Any, source: random.Random) -> bytes:
    digit, _, form = row.modrm.partition(":")
    if digit == "-":
        return b""
    reg = source.getrandbits(3) if digit == "/r" else int(digit[1:])
    mod = {"m": source.randrange(3), "r": 3}.get(form, source.getrandbits(2))
    rm = {"rm0": 0, "rm2": 2}.get(row.marks[0] if row.marks else "", source.getrandbits(3))
    return bytes([mod << 6 | reg << 3 | rm])


def _immediates(source: random.Random) -> bytes:
    """Bytes behind the opcode: sib, displacement and immediate, often near a bound of a rule."""
    choice = source.getrandbits(3)
    if choice == 0:  # a constant, should this be a rip-relative operand
        distance = RODATA_DELTA + 40 - source.randrange(64)
        return distance.to_bytes(4, "little") + source.randbytes(8)
    if choice == 1:  # a frame
        near = (source.choice((0, 1 << 18, -(1 << 18))) + source.randrange(-66, 66)) & 0xFFFFFFFF
        behind_sib = bytes([source.choice((0x24, source.getrandbits(8)))]) * source.getrandbits(1)
        return behind_sib + near.to_bytes(4, "little") + source.randbytes(8)
    return source.randbytes(12)
