"""Finds every way to weaken the code validators by one step, in their C text and in their data tables.

Nothing here is a list of rules: C mutants follow from the tokens, table mutants from the columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN, CLOSE = "([{", ")]}"
TOKEN = re.compile(r"[A-Za-z_]\w*|\d\w*|<<=|>>=|->|\+\+|--|<<|>>|[<>=!|&+*/%^-]=|&&|\|\||[^\s\w]")
REFUSALS = re.compile(r"(?:\w*_)?(?:reject|refuse)(?:_\w+)?")
STRICTNESS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
NEUTRAL = {"&&": "true", "||": "false", "|": "0"}
# What ends an operand: an operator that binds no tighter, or the border of an expression.
BORDERS = {
    "&&": {"&&", "||", "?", ":", ";", ",", "=", "return", "|=", "&=", "+=", "-="},
    "||": {"||", "?", ":", ";", ",", "=", "return", "|=", "&=", "+=", "-="},
    "|": {"|", "&&", "||", "?", ":", ";", ",", "=", "return", "|=", "&=", "+=", "-="},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One file of core/ with one span of its text replaced."""

    path: str  # relative to core/
    text: str  # of the whole file, mutated
    line: int
    before: str  # the line, stripped
    change: str

    @property
    def key(self) -> str:
        """Names the mutant across edits elsewhere in the file."""
        return f"{self.path}: {self.before} [{self.change}]"

    @property
    def place(self) -> str:
        """The key where it stands in the file now."""
        return f"{self.path}:{self.line}: {self.before} [{self.change}]"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def c_mutants(core: Path, name: str) -> Iterator[Mutant]:
    """Every check of one C file left out, every bound off by one, every part of a condition dropped."""
    path = f"src/{name}"
    source = (core / path).read_text("ascii")
    tokens = [_Token(m[0], m.start()) for m in TOKEN.finditer(_blank(source))]
    seen: set[tuple[int, int, str]] = set()
    for start, end, replacement in _spans(tokens):
        if (start, end, replacement) in seen:
            continue
        seen.add((start, end, replacement))
        first = source.rfind("\n", 0, start) + 1
        old = " ".join(source[start:end].split())
        yield Mutant(
            path=path,
            text=source[:start] + replacement + source[end:],
            line=source.count("\n", 0, start) + 1,
            before=source[first : source.index("\n", start)].strip(),
            change=f"{old} -> {replacement}",
        )


def _blank(source: str) -> str:
    """Comments, strings and preprocessor lines become blanks of the same length."""
    pattern = (
        r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:\\\n|[^\n])*"
    )
    return re.sub(
        pattern,
        lambda m: re.sub(r"[^\n]", " ", m[0]) if m[0][0] not in "\"'" else "0" * len(m[0]),
        source,
        flags=re.DOTALL | re.MULTILINE,
    )


def _spans(tokens: list[_Token]) -> Iterator[tuple[int, int, str]]:
    refusals: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if REFUSALS.fullmatch(token.text) and tokens[index + 1].text == "(":
            close = _matching(tokens, index + 1)
            if tokens[close + 1].text == "{":  # its definition
                continue
            refusals.append((token.start, tokens[close].end))
            is_statement = tokens[index - 1].text in {";", "{", "}", ")", "else"} and (
                tokens[close + 1].text == ";" and "refuse" in token.text
            )
            yield token.start, tokens[close].end, "(void)0" if is_statement else "true"
    for index, token in enumerate(tokens):
        is_inside = any(start <= token.start < end for start, end in refusals)
        if token.text.startswith("IL_RULE_") and not is_inside:
            yield token.start, token.end, "0"
        if token.text in STRICTNESS:
            yield token.start, token.end, STRICTNESS[token.text]
        if token.text in NEUTRAL:
            for left, right in (_left(tokens, index), _right(tokens, index)):
                yield tokens[left].start, tokens[right].end, NEUTRAL[token.text]


def _matching(tokens: list[_Token], index: int) -> int:
    depth = 0
    for place in range(index, len(tokens)):
        depth += (tokens[place].text in OPEN) - (tokens[place].text in CLOSE)
        if depth == 0:
            return place
    raise ValueError(tokens[index])


def _left(tokens: list[_Token], index: int) -> tuple[int, int]:
    borders, depth, place = BORDERS[tokens[index].text], 0, index - 1
    while place >= 0:
        text = tokens[place].text
        if depth == 0 and (text in borders or text in OPEN):
            break
        depth += (text in CLOSE) - (text in OPEN)
        place -= 1
    return place + 1, index - 1


def _right(tokens: list[_Token], index: int) -> tuple[int, int]:
    borders, depth, place = BORDERS[tokens[index].text], 0, index + 1
    while place < len(tokens):
        text = tokens[place].text
        if depth == 0 and (text in borders or text in CLOSE):
            break
        depth += (text in OPEN) - (text in CLOSE)
        place += 1
    return index + 1, place - 1


# ---- Tables -----------------------------------------------------------------------------------------------------------------
def table_mutants(core: Path, name: str) -> Iterator[Mutant]:
    """Each line of a table weakened in each of its columns."""
    path = f"tables/{name}"
    lines = (core / path).read_text("ascii").split("\n")
    weaken = _weaken_x86_64 if name.startswith("x86_64") else _weaken_aarch64
    for number, line in enumerate(lines):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        for changed, change in weaken(fields):
            text = [] if changed is None else [" ".join(changed)]
            yield Mutant(
                path=path,
                text="\n".join([*lines[:number], *text, *lines[number + 1 :]]),
                line=number + 1,
                before=" ".join(fields),
                change=change,
            )


def _with(fields: list[str], column: int, value: str) -> tuple[list[str], str]:
    return [*fields[:column], value, *fields[column + 1 :]], f"{fields[column]} -> {value}"


def _items(field: str) -> list[str]:
    return [] if field == "-" else field.split(",")


def _without(fields: list[str], column: int) -> Iterator[tuple[list[str], str]]:
    """One item of a column dropped."""
    items = _items(fields[column])
    for number in range(len(items)):
        yield _with(fields, column, ",".join(items[:number] + items[number + 1 :]) or "-")


def _weaken_x86_64(fields: list[str]) -> Iterator[tuple[list[str] | None, str]]:
    """Columns: space prefix map opcode modrm W L operands implicit memory immediate classes marks mnemonic."""
    if fields[12][0] == "V":
        yield None, "line deleted"
        return
    if fields[1] == "NP" and fields[0] == "legacy":
        yield _with(fields, 1, "NP/66")
    if ":" in fields[4]:
        yield _with(fields, 4, fields[4].partition(":")[0])
    if fields[5] != "W*":
        yield _with(fields, 5, "W*")
    if fields[6] in {"L0", "L1"}:
        yield _with(fields, 6, "L*")
    for column in (7, 8):
        items = _items(fields[column])
        for number, item in enumerate(items):
            for changed in _weaker_accesses(item):
                yield _with(
                    fields, column, ",".join([*items[:number], changed, *items[number + 1 :]])
                )
    if fields[9] not in {"-", "1"}:
        yield _with(fields, 9, "1")
    if "+" in fields[11]:
        for name in fields[11].split("+"):
            yield _with(fields, 11, name)
    elif fields[11] != "NOP":
        yield _with(fields, 11, "NOP")
    yield from _without(fields, 12)


def _weaker_accesses(item: str) -> Iterator[str]:
    place, _, rest = item.partition("=")
    access, _, kind = rest.partition(":")
    suffix = f":{kind}" if kind else ""
    if "w" in access:
        yield f"{place}=r{suffix}"
    if kind in {"g", "b"} and "w" in access:
        yield f"{place}={access}:{'x' if kind == 'g' else 'g'}"


def _weaken_aarch64(fields: list[str]) -> Iterator[tuple[list[str] | None, str]]:
    """Columns: pattern writes unpredictable unless class check mnemonics."""
    if fields[5][0] == "V":
        yield None, "line deleted"
        return
    for column in (1, 2, 3):
        yield from _without(fields, column)
    if fields[4] != "NOP":
        yield _with(fields, 4, "NOP")
    yield from _without(fields, 5)
