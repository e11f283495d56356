"""Turns core/tables/aarch64.instrs into core/generated/aarch64.h, the code validator's decision tree.

Run it without arguments after an edit of the data file; a test compares the committed header byte for byte.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

TABLES = Path(__file__).resolve().parent.parent / "core" / "tables"
CLASSES = {
    "INTEGER": 0,
    "BRANCH": 2,
    "INDIRECT": 3,
    "ATOMIC": 5,
    "BIT": 6,
    "FMA": 9,
    "TRAP": 10,
    "NOP": 11,
    "SIMD": 12,
}
# The order is the bit order of il_a64_row.flags.
WRITES = ("d", "a", "m", "m2", "D", "n", "x30")
UNPREDICTABLE = ("d=a", "n=d", "n=a", "m=d", "m=a", "m=n")
LOOK = "LOOK"
# The validator compares with adrp (the first with a target), b_cond (the first branch) and b (the first that ends the flow).
CHECKS = (
    "none",
    "add_imm",
    "writeback",
    "load_lo12",
    "load_lo12_v",
    "adrp",
    "adr",
    "table_load",
    "table_add",
    "b_cond",
    "tbz",
    "bl",
    "blr",
    "b",
    "br",
    "ret",
    "trap",
)
# These matter only where a reserved register is written, a relocation applies or a jump-table sequence is open, which is found
# without them.
PASSIVE = ("none", "add_imm", "writeback", "load_lo12", "load_lo12_v", "blr", "ret", "trap")
FIELDS = {"d": 0, "n": 5, "a": 10, "m": 16}
UNKNOWN_RULE = 10
ROOT_SHIFT, NODE_BITS_MAX, NODE = 21, 6, 0x8000

Condition = tuple[int, int]  # mask, value
_Node = tuple[int, int, tuple[int, ...]]  # shift, width, children


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the data file."""

    pattern: str
    mask: int
    value: int
    writes: tuple[str, ...]
    unpredictable: tuple[str, ...]
    unless: tuple[Condition, ...]
    classes: tuple[str, ...]
    check: str
    rule: int  # 0 = accepted
    mnemonics: tuple[str, ...]
    reason: str

    def matches(self, word: int) -> bool:
        """Whether the word is of this class; of two nested lines both can say yes."""
        return word & self.mask == self.value and not any(word & m == v for m, v in self.unless)


def parse(text: str) -> list[Line]:
    """Reads the data file; a line of another form is an error."""
    lines: list[Line] = []
    reason = ""
    for number, raw in enumerate(text.splitlines(), 1):
        if raw.startswith("##"):
            reason = raw.removeprefix("##").strip()
        fields = raw.split("#")[0].split()
        if not fields:
            continue
        if len(fields) != 7 or not reason:
            message = f"line {number}: {len(fields)} columns, reason {reason!r}"
            raise ValueError(message)
        lines.append(_line(fields, reason))
    _require_nested(lines)
    return lines


def _line(fields: list[str], reason: str) -> Line:
    pattern = fields[0].replace(".", "")
    if len(pattern) != 32:
        message = f"{fields[0]} has {len(pattern)} bits"
        raise ValueError(message)
    writes, unpredictable, unless, classes = (
        () if field == "-" else tuple(field.split(",")) for field in fields[1:5]
    )
    for name in writes:
        at = 31 - 4 - FIELDS.get(name[0].lower(), 0)
        if name != "x30" and pattern[at] != name[0].lower():
            message = f"{fields[0]} has no field {name}"
            raise ValueError(message)
    is_denied = fields[5][0] == "V"
    return Line(
        pattern=pattern,
        mask=int("".join("01"[bit in "01"] for bit in pattern), 2),
        value=int("".join(bit if bit in "01" else "0" for bit in pattern), 2),
        writes=writes,
        unpredictable=unpredictable,
        unless=tuple(_condition(text) for text in unless),
        classes=tuple(classes[0].split("+")) if classes else (),
        check="none" if fields[5] == "-" or is_denied else fields[5],
        rule=int(fields[5][1:]) if is_denied else 0,
        mnemonics=tuple(fields[6].split(",")),
        reason=reason,
    )


def _condition(text: str) -> Condition:
    mask = value = 0
    for part in text.split("&"):
        bits, wanted = part.split("=")
        low = int(bits.split("-")[-1])
        mask |= ((1 << len(wanted)) - 1) << low
        value |= int(wanted, 2) << low
    return mask, value


def _require_nested(lines: list[Line]) -> None:
    for one, other in itertools.combinations(lines, 2):
        if (one.value ^ other.value) & one.mask & other.mask:
            continue
        mask, value = one.mask | other.mask, one.value | other.value
        if any(not m & ~mask and value & m == v for m, v in (*one.unless, *other.unless)):
            continue
        if one.mask == other.mask or mask not in (one.mask, other.mask):
            message = f"two lines overlap: {one.pattern} {other.pattern}"
            raise ValueError(message)


def classify(lines: list[Line], word: int) -> int:
    """The slow and obvious reading of the table: index of the line that decides about the word, or -1."""
    found = [n for n, line in enumerate(lines) if line.matches(word)]
    return max(found, key=lambda n: lines[n].mask.bit_count(), default=-1)


class _Tree:
    """Nodes look at a few bits each; a leaf is 1 + the line's index, 0 for none."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self.nodes: dict[_Node, int] = {}
        self.memo: dict[tuple[int, ...], int] = {}
        wanted = range(1 << (32 - ROOT_SHIFT))
        mask = ~((1 << ROOT_SHIFT) - 1) & 0xFFFFFFFF
        everything = list(range(len(lines)))
        entries = [self._entry(everything, mask, top << ROOT_SHIFT) for top in wanted]
        self.keys = list(self.nodes)
        # One step without a condition: what the root decides alone is a node of one child.
        self.root = [
            self.keys[entry & ~NODE] if entry & NODE else (0, 0, (entry,)) for entry in entries
        ]

    def _entry(self, candidates: list[int], mask: int, value: int) -> int:
        """The subtree for words of which the bits of mask are known."""
        left, open_bits = [], 0
        for index in candidates:
            line = self.lines[index]
            if (line.value ^ value) & line.mask & mask:
                continue
            possible = [(m, v) for m, v in line.unless if not (v ^ value) & m & mask]
            if any(not m & ~mask for m, _ in possible):
                continue
            left.append(index)
            for bits in (line.mask, *(m for m, _ in possible)):
                open_bits |= bits & ~mask
        if not open_bits:
            return 1 + max(left, key=lambda n: self.lines[n].mask.bit_count(), default=-1)
        shift, width = _window(open_bits)
        key = (shift, width, *self._signature(left, mask, value))
        if key not in self.memo:
            self.memo[key] = self._node(left, mask, value, shift, width)
        return self.memo[key]

    def _signature(self, left: list[int], mask: int, value: int) -> tuple[int, ...]:
        """What the subtree depends on: the lines, and those known bits that a line still asks for."""
        asked = 0
        for index in left:
            for bits in (self.lines[index].mask, *(m for m, _ in self.lines[index].unless)):
                asked |= bits
        return (-1, mask & asked, value & asked, *left)

    def _node(self, left: list[int], mask: int, value: int, shift: int, width: int) -> int:
        known = ((1 << width) - 1) << shift
        children = tuple(
            self._entry(left, mask | known, value | part << shift) for part in range(1 << width)
        )
        if len(set(children)) == 1:
            return children[0]
        return NODE | self.nodes.setdefault((shift, width, children), len(self.nodes))


def _window(open_bits: int) -> tuple[int, int]:
    """The run of at most NODE_BITS_MAX bits with the most open ones; the highest of equals."""
    best = (0, 0, 0)
    for shift in range(ROOT_SHIFT):
        if not open_bits >> shift & 1:
            continue
        inside = open_bits >> shift & ((1 << NODE_BITS_MAX) - 1)
        best = max(best, (inside.bit_count(), shift, inside.bit_length()))
    return best[1], best[2]


def _flags(line: Line) -> int:
    names = [*line.writes, *line.unpredictable, *(["m"] if "m2" in line.writes else [])]
    if line.rule or line.unpredictable or line.check not in PASSIVE:
        names.append(LOOK)
    order = (*WRITES, *UNPREDICTABLE, LOOK)
    return sum(1 << order.index(name) for name in set(names))


def _fields(line: Line, names: tuple[str, ...]) -> int:
    return sum(0x1F << FIELDS[name[0].lower()] for name in line.writes if name in names)


def _name(flag: str) -> str:
    return {"D": "D_SP"}.get(flag, flag.upper().replace("=", "_IS_"))


def render(lines: list[Line]) -> str:
    """The header: one row for each line, the root by bits 31..21, the nodes below it."""
    tree = _Tree(lines)
    out = ["/* Generated by tools/generate_aarch64_table.py from aarch64.instrs; do not edit. */\n"]
    out.append("#ifndef IL_AARCH64_TABLE_H\n#define IL_AARCH64_TABLE_H\n\n#include <stdint.h>\n\n")
    order = (*WRITES, *UNPREDICTABLE, LOOK)
    out += [f"#define IL_A64_{_name(flag)} 0x{1 << bit:x}u\n" for bit, flag in enumerate(order)]
    either = " | ".join(f"IL_A64_{_name(pair)}" for pair in UNPREDICTABLE)
    out.append(f"#define IL_A64_UNPREDICTABLE ({either})\n")
    out.append("\nenum {")
    out.append(", ".join(f"IL_A64_{check.upper()} = {n}" for n, check in enumerate(CHECKS)))
    out.append(
        "};\n\n/* Row 0 is the unknown encoding; the others are the lines, in their order. */\n"
    )
    out.append("typedef struct il_a64_row {\n")
    out.append(
        "    uint32_t zr_fields, sp_fields; /* the fields that name a register written; what 31 is there */\n"
    )
    out.append(
        "    uint32_t flags;\n    uint16_t classes;\n    uint8_t rule, check;\n} il_a64_row;\n\n"
    )
    out.append(f"static const il_a64_row il_a64_rows[{len(lines) + 1}] = {{\n")
    out.append(f"    {{0, 0, 0x{1 << order.index(LOOK):x}, 0, {UNKNOWN_RULE}, 0}},\n")
    for line in lines:
        classes = sum(1 << CLASSES[name] for name in line.classes)
        check = CHECKS.index(line.check)
        zr, sp = _fields(line, ("d", "a", "m", "m2")), _fields(line, ("D", "n"))
        out.append(
            f"    {{0x{zr:x}, 0x{sp:x}, 0x{_flags(line):x}, {classes}, {line.rule}, {check}}},\n"
        )
    out.append(
        "};\n\ntypedef struct il_a64_node {\n    uint16_t first;\n    uint8_t shift, mask;\n"
    )
    out.append("} il_a64_node;\n\n")
    children: list[int] = []
    starts: dict[_Node, str] = {}
    for node in (*tree.keys, *tree.root):
        if node not in starts:
            shift, width, below = node
            starts[node] = f"{{{len(children)}, {shift}, {(1 << width) - 1}}}"
            children += below
    out.append("/* [word >> 21] */\n")
    out += _array(f"il_a64_node il_a64_root[{len(tree.root)}]", [starts[n] for n in tree.root], 8)
    out.append("\n/* Below the root. */\n")
    out += _array(f"il_a64_node il_a64_nodes[{len(tree.keys)}]", [starts[n] for n in tree.keys], 8)
    out.append("\n/* [first + (word >> shift & mask)]: a row, or 0x8000 | node */\n")
    out += _array(f"uint16_t il_a64_children[{len(children)}]", children)
    out.append("\n#endif\n")
    return "".join(out)


def _array(declaration: str, items: list[int] | list[str], width: int = 24) -> list[str]:
    rows = [
        "    " + ", ".join(map(str, items[start : start + width])) + ",\n"
        for start in range(0, len(items), width)
    ]
    return [f"static const {declaration} = {{\n", *rows, "};\n"]


def main() -> int:
    """Writes the header."""
    text = (TABLES / "aarch64.instrs").read_text(encoding="ascii")
    (TABLES.parent / "generated" / "aarch64.h").write_text(render(parse(text)), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
