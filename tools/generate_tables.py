"""Turns core/tables/x86_64.instrs into core/generated/x86_64.h, the code validator's decoding table.

Run it without arguments after an edit of the data file; a test compares the committed header byte for byte.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

TABLES = Path(__file__).resolve().parent.parent / "core" / "tables"
PREFIXES = ("NP", "66", "F3", "66F3", "F2", "66F2")
MAPS = ("00", "0F", "0F38", "0F3A")
GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")
CLASSES = (
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
)
CHECKS = (
    "none",
    "adjust",
    "align",
    "lea",
    "copy",
    "table_load",
    "table_add",
    "jcc",
    "jmp",
    "call",
    "ret",
    "trap",
    "indirect_call",
    "indirect_jmp",
    "rm0",
    "rm2",
)
# The order is the bit order of il_x86_row.attributes.
ATTRIBUTES = (
    "MODRM",
    "RM_WRITE",
    "REG_WRITE",
    "VVVV_WRITE",
    "OPCODE_WRITE",
    "MEMORY_WRITE",
    "RM_BYTE",
    "REG_BYTE",
    "VVVV",
    "OPCODE_REG",
    "LOCK",
    "STACK",
    "W0",
    "W1",
    "L0",
    "L1",
    "MEMORY_W",
    "MEMORY_L",
    "IMMEDIATE_W",
    "ADDRESS_ONLY",
    "OPERAND_16",
    "MEMORY_L4",
)
MEMORY_ANY_LOG2 = 31
KINDS = {"REX": 1, "ESCAPE": 2, "PREFIX": 4, "VEX": 8}
PREFIX_BYTES = bytes.fromhex("262e363e64656667f0f2f3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instr:
    """One line of the data file, its columns parsed but not yet spread over prefixes."""

    space: str
    prefix: str
    map: str
    opcode: str
    modrm: str
    w: str
    l: str  # noqa: E741 - the manual's name of the bit
    operands: tuple[tuple[str, str, str], ...]  # place, access, kind
    implicit: tuple[tuple[str, str], ...]  # register or "flags" or "mem", access
    memory: str
    immediate: str
    classes: tuple[str, ...]
    marks: tuple[str, ...]
    mnemonic: str

    @property
    def denied_by(self) -> int:
        """Number of the rule that refuses this encoding; 0 for an accepted one."""
        return next((int(mark[1:]) for mark in self.marks if mark[0] == "V"), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What il_x86_row holds for one encoding under one prefix."""

    attributes: int
    writes: int
    classes: int
    rule: int
    check: str
    memory_log2: int
    immediate: int

    @property
    def rex_permitted(self) -> int:
        """The bits WRXB that the encoding may set: what hardware ignores is not among them."""
        has_registers = self.attributes & (_bit("MODRM") | _bit("OPCODE_REG"))
        is_fixed = self.check in {"rm0", "rm2"}
        return (8 if self.attributes & _bit("W1") else 0) | (
            7 if has_registers and not is_fixed else 0
        )

    @property
    def rex_required(self) -> int:
        """The bits that it must set."""
        return 0 if self.attributes & _bit("W0") else 8


def _bit(attribute: str) -> int:
    return 1 << ATTRIBUTES.index(attribute)


Cell = tuple[int, int, int, int, bool, int]  # space, prefix, map, opcode, register form, modrm.reg


def parse(text: str) -> list[Instr]:
    """Reads the data file; a line with another number of columns is an error."""
    instrs = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        if len(fields) != 14:
            message = f"line {number}: {len(fields)} columns"
            raise ValueError(message)
        listed = [() if f == "-" else tuple(f.split(",")) for f in fields]
        instrs.append(
            Instr(
                space=fields[0],
                prefix=fields[1],
                map=fields[2],
                opcode=fields[3],
                modrm=fields[4],
                w=fields[5].removeprefix("W"),
                l=fields[6].removeprefix("L"),
                operands=tuple(_operand(item) for item in listed[7]),
                implicit=tuple((i.split("=")[0], i.split("=")[1]) for i in listed[8]),
                memory=fields[9],
                immediate=fields[10],
                classes=() if fields[11] == "-" else tuple(fields[11].split("+")),
                marks=listed[12],
                mnemonic=fields[13],
            )
        )
    return instrs


def _operand(item: str) -> tuple[str, str, str]:
    place, rest = item.split("=")
    access, kind = rest.split(":")
    return place, access, kind


def _memory(instr: Instr, *, is_16: bool) -> tuple[int, set[str]]:
    if instr.memory in ("-", "any"):
        return (0 if instr.memory == "-" else MEMORY_ANY_LOG2), set()
    if instr.memory == "v":
        return (1, set()) if is_16 else (2, {"MEMORY_W"})
    scales = {f"MEMORY_{c}" for c in instr.memory if c in "WL"}
    # Sizes that are no power of two round up, so that the range check stays on the safe side.
    return (int(instr.memory.rstrip("WL")) - 1).bit_length(), scales


def _immediate(instr: Instr, *, is_16: bool) -> tuple[int, set[str]]:
    if instr.immediate in ("z", "V"):
        scaled = {"IMMEDIATE_W"} if instr.immediate == "V" and not is_16 else set()
        return (2 if is_16 else 4), scaled
    return (0 if instr.immediate == "-" else int(instr.immediate)), set()


def _row(instr: Instr, *, is_16: bool) -> Row:
    memory_log2, names = _memory(instr, is_16=is_16)
    immediate, scaled = _immediate(instr, is_16=is_16)
    names = names | scaled
    if instr.modrm != "-":
        names.add("MODRM")
    if is_16:
        names.add("OPERAND_16")
    form = instr.modrm.partition(":")[2]
    for place, access, kind in instr.operands:
        is_register = kind in "gb" and not (place == "rm" and form == "m")
        if place == "rm" and "w" in access and form != "r":
            names.add("MEMORY_WRITE")
        if place == "rm" and access == "a":
            names.add("ADDRESS_ONLY")
        if kind == "b" and is_register:
            names.add("RM_BYTE" if place == "rm" else "REG_BYTE")
        if place == "vvvv":
            names.add("VVVV")
        if place == "op":
            names.add("OPCODE_REG")
        if "w" in access and is_register:
            names.add({"rm": "RM", "reg": "REG", "vvvv": "VVVV", "op": "OPCODE"}[place] + "_WRITE")
    names |= {f"W{b}" for b in "01" if instr.w in (b, "*")} - ({"W1"} if is_16 else set())
    names |= {f"L{b}" for b in "01" if instr.l in (b, "*")}
    names |= {mark.upper() for mark in instr.marks if mark in ("lock", "stack")}
    writes = sum(
        1 << GENERAL.index(r) for r, access in instr.implicit if r in GENERAL and "w" in access
    )
    checks = [mark for mark in instr.marks if mark in CHECKS]
    return Row(
        attributes=sum(1 << ATTRIBUTES.index(name) for name in names),
        writes=writes,
        classes=sum(1 << CLASSES.index(name) for name in instr.classes),
        rule=instr.denied_by,
        check=checks[0] if checks else "none",
        memory_log2=memory_log2,
        immediate=immediate,
    )


def _opcodes(instr: Instr) -> range:
    first = int(instr.opcode.removesuffix("+r"), 16)
    return range(first, first + (8 if instr.opcode.endswith("+r") else 1))


def _prefixes(instr: Instr) -> list[tuple[int, bool]]:
    if instr.prefix == "any":
        return [(index, False) for index in range(len(PREFIXES))]
    first, _, second = instr.prefix.partition("/")
    pairs = [(PREFIXES.index(first), False)]
    if second:
        both = {"NP": "66", "F3": "66F3", "F2": "66F2"}[first]
        pairs.append((PREFIXES.index(both), True))
    return pairs


def spread(instrs: list[Instr]) -> dict[Cell, Row]:
    """Gives each accepted or denied encoding its row; lines for the two W or L values of one encoding merge."""
    cells: dict[Cell, Row] = {}
    for instr in instrs:
        digit, _, form = instr.modrm.partition(":")
        digits = range(8) if digit in ("-", "/r") else range(int(digit[1:]), int(digit[1:]) + 1)
        forms = {"": (False, True), "m": (False,), "r": (True,)}[form]
        for prefix, is_16 in _prefixes(instr):
            row = _row(instr, is_16=is_16)
            for opcode in _opcodes(instr):
                for reg in digits:
                    for is_register in forms:
                        space = 0 if instr.space == "legacy" else 1
                        cell = (space, prefix, MAPS.index(instr.map), opcode, is_register, reg)
                        cells[cell] = _merge(cells[cell], row, instr) if cell in cells else row
    return cells


def _merge(old: Row, new: Row, instr: Instr) -> Row:
    """Joins the W0 and W1 (or L0 and L1) lines of one opcode; they may differ by the size of a memory operand only."""
    bits = {name: 1 << ATTRIBUTES.index(name) for name in ATTRIBUTES}
    w_or_l = bits["W0"] | bits["W1"] | bits["L0"] | bits["L1"]
    scales = bits["MEMORY_W"] | bits["MEMORY_L"] | bits["MEMORY_L4"]
    same = (old.attributes ^ new.attributes) & ~(w_or_l | scales) == 0 and (
        (old.writes, old.classes, old.rule, old.check, old.immediate)
        == (new.writes, new.classes, new.rule, new.check, new.immediate)
    )
    by_w = not (old.attributes & new.attributes & (bits["W0"] | bits["W1"]))
    l_bits = bits["L0"] | bits["L1"]
    by_l = old.attributes & l_bits != 0 and not old.attributes & new.attributes & l_bits
    if old.rule == new.rule != 0:
        return old
    if not same or not (by_w or by_l):
        message = f"two lines for one encoding: {instr}"
        raise ValueError(message)
    # The larger size for both is on the safe side where no factor is known.
    scale = 0
    low = max(old.memory_log2, new.memory_log2)
    growth = new.memory_log2 - old.memory_log2
    if by_w and growth == 1 and new.attributes & bits["W1"]:
        scale, low = bits["MEMORY_W"], old.memory_log2
    elif not by_w and growth in {1, 2} and new.attributes & bits["L1"]:
        scale, low = bits["MEMORY_L" if growth == 1 else "MEMORY_L4"], old.memory_log2
    return Row(
        attributes=old.attributes | new.attributes | scale,
        writes=old.writes,
        classes=old.classes,
        rule=old.rule,
        check=old.check,
        memory_log2=low,
        immediate=old.immediate,
    )


def render(cells: dict[Cell, Row]) -> str:
    """The header: rows without repeats, groups of sixteen (register form, modrm.reg), and one index by opcode."""
    rows: dict[Row | None, int] = {None: 0}
    groups: dict[tuple[int, ...], int] = {}
    pages: dict[tuple[int, int, int], list[int]] = {}
    for space, prefix, map_ in [(s, p, m) for s in (0, 1) for m in range(4) for p in range(6)]:
        page = []
        for opcode in range(256):
            group = tuple(
                rows.setdefault(cells.get((space, prefix, map_, opcode, form, reg)), len(rows))
                for form in (False, True)
                for reg in range(8)
            )
            is_plain = len(set(group)) == 1
            page.append(group[0] if is_plain else 0x8000 | groups.setdefault(group, len(groups)))
        pages[space, prefix, map_] = page
    unique: dict[tuple[int, ...], int] = {}
    index = [unique.setdefault(tuple(page), len(unique)) for page in pages.values()]
    return "".join(_header(rows, groups, list(unique), index))


def _header(
    rows: dict[Row | None, int],
    groups: dict[tuple[int, ...], int],
    pages: list[tuple[int, ...]],
    index: list[int],
) -> list[str]:
    out = ["/* Generated by tools/generate_tables.py from x86_64.instrs; do not edit. */\n"]
    out.append("#ifndef IL_X86_64_TABLE_H\n#define IL_X86_64_TABLE_H\n\n#include <stdint.h>\n\n")
    out += [f"#define IL_X86_{name} 0x{1 << bit:x}u\n" for bit, name in enumerate(ATTRIBUTES)]
    out.append("\nenum {")
    out.append(", ".join(f"IL_CHECK_{check.upper()} = {n}" for n, check in enumerate(CHECKS)))
    out.append(
        "};\n\n/* Row 0 is the unknown encoding. */\ntypedef struct il_x86_row {\n    uint32_t attributes;\n"
    )
    out.append("    uint16_t writes, classes;\n    uint8_t rule, check, memory_log2, immediate;\n")
    out.append(
        "    uint8_t rex_permitted, rex_required; /* bits WRXB, also of VEX */\n} il_x86_row;\n\n"
    )
    out.append(f"static const il_x86_row il_x86_rows[{len(rows)}] = {{\n")
    for row in rows:
        if row is None:
            out.append("    {0, 0, 0, 10, 0, 0, 0, 0, 0},\n")
            continue
        check = CHECKS.index(row.check)
        fields = (row.writes, row.classes, row.rule, check, row.memory_log2, row.immediate)
        fields += (row.rex_permitted, row.rex_required)
        out.append(f"    {{0x{row.attributes:x}, " + ", ".join(map(str, fields)) + "},\n")
    out.append("};\n\n/* [group][register form * 8 + modrm.reg] */\n")
    out.append(f"static const uint16_t il_x86_groups[{len(groups)}][16] = {{\n")
    out += ["    {" + ", ".join(map(str, group)) + "},\n" for group in groups]
    out.append("};\n\n/* [page][opcode]: a row, or 0x8000 | group */\n")
    out.append(f"static const uint16_t il_x86_pages[{len(pages)}][256] = {{\n")
    for page in pages:
        out.append("    {" + ",".join(map(str, page)) + "},\n")
    out.append("};\n\n/* [space * 4 + map][prefix: NP 66 F3 66F3 F2 66F2] */\n")
    out.append("static const uint8_t il_x86_index[8][8] = {\n")
    for start in range(0, 48, 6):
        out.append("    {" + ", ".join(map(str, index[start : start + 6])) + ", 0, 0},\n")
    out.append(
        "};\n\n/* [modrm]: bits 7..4 bytes of modrm, sib and displacement, 3..0 place in a group */\n"
    )
    out.append("static const uint8_t il_x86_modrm[256] = {\n")
    out += _numbers([_modrm_bytes(modrm) << 4 | _place(modrm) for modrm in range(256)])
    out.append("};\n\n/* [byte]: what it is where an opcode may stand, a bit of il_x86_kind */\n")
    out.append(
        "enum {" + ", ".join(f"IL_KIND_{name} = {bit}" for name, bit in KINDS.items()) + "};\n"
    )
    out.append("static const uint8_t il_x86_kind[256] = {\n")
    out += _numbers([_kind(byte) for byte in range(256)])
    out.append("};\n\n#endif\n")
    return out


def _numbers(values: list[int]) -> list[str]:
    rows = [values[start : start + 16] for start in range(0, len(values), 16)]
    return ["    " + ", ".join(map(str, row)) + ",\n" for row in rows]


def _modrm_bytes(modrm: int) -> int:
    """Sib with base 5 and mod 0 has four more."""
    mod, rm = modrm >> 6, modrm & 7
    if mod == 3:
        return 1
    displacement = (4 if rm == 5 else 0, 1, 4)[mod]
    return 1 + (rm == 4) + displacement


def _place(modrm: int) -> int:
    return (8 if modrm >= 0xC0 else 0) | modrm >> 3 & 7


def _kind(byte: int) -> int:
    if byte in PREFIX_BYTES:
        return KINDS["PREFIX"]
    if byte & 0xF0 == 0x40:
        return KINDS["REX"]
    return {0x0F: KINDS["ESCAPE"], 0xC4: KINDS["VEX"], 0xC5: KINDS["VEX"]}.get(byte, 0)


def main() -> int:
    """Writes the header."""
    text = (TABLES / "x86_64.instrs").read_text(encoding="ascii")
    (TABLES.parent / "generated" / "x86_64.h").write_text(
        render(spread(parse(text))), encoding="ascii"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
