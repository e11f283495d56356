"""Findings that somebody has looked at: comments in the source that name a rule and say why it does not apply.

    code();  // interlock: ignore[AJ101] a probe, unmapped at once
    // interlock: ignore-next-line[AJ101, AJ2] reason
    // interlock: ignore-start[AJ4] reason
    // interlock: ignore-end
    // interlock: ignore-file[AJ801] reason

The comment is the language's own: `//` and `/* */`, `#`, or `<!-- -->`.  A rule may be a prefix, as in `--select`.
Without a rule, or without a reason, it suppresses nothing and is reported itself.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from interlock.audit.comments import comments

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMENT = re.compile(
    r"interlock:[ \t]*ignore(?P<scope>-next-line|-start|-end|-file)?(?![\w-])[ \t]*"
    r"(?:\[(?P<rules>[^\]\n]*)\])?(?P<reason>[^\n]*)"
)
_RULE = re.compile(r"AJ\d{0,3}")
_CLOSING = re.compile(r"(?:\*+/|--+>)\s*\Z")
_LAST_LINE: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One comment: which rules it names, and the lines (1-based, both included) in which it suppresses them.

    A comment that suppresses nothing says in `problem` why.
    """

    line: int
    rules: tuple[str, ...]
    reason: str
    first: int
    last: int
    problem: str = ""

    def covers(self, rule: str, first: int, last: int) -> bool:
        """Whether it suppresses a finding of `rule` that stands in these lines."""
        is_there = self.first <= last and first <= self.last and not self.problem
        return is_there and rule.startswith(self.rules)


def read(path: str, data: bytes) -> tuple[Suppression, ...]:
    """The suppressions of one file, in its order; bytes that are no UTF-8 hide nothing."""
    if b"interlock:" not in data:
        return ()
    found: list[Suppression] = []
    blocks: list[int] = []  # where in `found` those stand that are open
    for each, scope in _each(path, data.decode("utf-8", "replace")):
        if scope == "-end" and blocks:
            start = blocks.pop()
            found[start] = replace(found[start], last=each.line, problem="")
            continue
        if scope == "-start" and not each.problem:
            blocks.append(len(found))
            each = replace(each, problem="ignore-start without ignore-end")  # noqa: PLW2901  (until its end is met)
        found.append(each)
    return tuple(found)


def _each(path: str, text: str) -> Iterator[tuple[Suppression, str]]:
    """Each comment that looks like one, with its scope."""
    ends = [newline.start() for newline in re.finditer("\n", text)]
    for offset, comment in comments(path, text):
        for found in _COMMENT.finditer(comment):
            line = bisect_left(ends, offset + found.start()) + 1
            scope = found["scope"] or ""
            rules = tuple(rule.strip().upper() for rule in (found["rules"] or "").split(","))
            reason = _CLOSING.sub("", found["reason"]).strip(" \t\r:-")
            first, last = {
                "-next-line": (line + 1, line + 1),
                "-start": (line, _LAST_LINE),
                "-file": (0, _LAST_LINE),
            }.get(scope, (line, line))
            yield (
                Suppression(
                    line=line,
                    rules=rules,
                    reason=reason,
                    first=first,
                    last=last,
                    problem=_problem(scope, rules, reason),
                ),
                scope,
            )


def _problem(scope: str, rules: tuple[str, ...], reason: str) -> str:
    """Why a comment suppresses nothing, as far as it alone says so."""
    if scope == "-end":
        return "ignore-end without ignore-start"  # unless `read` knows better
    if not all(map(_RULE.fullmatch, rules)):
        return f"it names no rule: write interlock: ignore{scope}[AJ101] and the reason"
    if not reason:
        return f"it gives no reason: write it behind ignore{scope}[{', '.join(rules)}]"
    return ""
