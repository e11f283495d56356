"""The table of all rules, and how to find one."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from interlock.contract.observations import evidence, kept
from interlock.contract.rule import Evidence, Mark
from interlock.contract.rules_callback import CALLBACK, FREEZING
from interlock.contract.rules_lifecycle import IOS, LIFECYCLE
from interlock.contract.rules_memory import ALLOCATION, CHANGING
from interlock.contract.rules_thread import FAULTS, INSTRUCTION_CACHE, THREAD_STATE
from interlock.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.contract.observations import ProbeResult
    from interlock.contract.rule import Rule

_WRITTEN: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Allocation", ALLOCATION),
    ("Changing and freeing", CHANGING),
    ("Per-thread state", THREAD_STATE),
    ("Callback and allow-list", CALLBACK),
    ("Freezing the allow-list", FREEZING),
    ("Instruction cache", INSTRUCTION_CACHE),
    ("Faults and kills", FAULTS),
    ("fork, exec, signing", LIFECYCLE),
    ("iOS and BrowserEngineKit, for contrast", IOS),
)


def observed(rule: Rule, results: Iterable[ProbeResult]) -> Rule:
    """The rule with what real Macs say about it in front of its evidence."""
    seen = tuple(Evidence(mark=Mark.MAC, source=text) for text in evidence(rule.id, results))
    return replace(rule, evidence=(*seen, *rule.evidence))


SECTIONS = tuple(
    (title, tuple(observed(rule, kept()) for rule in section)) for title, section in _WRITTEN
)
_BY_ID = {rule.id: rule for _, section in SECTIONS for rule in section}


def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the sections."""
    return tuple(_BY_ID.values())


def rule(rule_id: str) -> Rule:
    """The rule of this id, for example ``C8``; an unknown one raises `UnknownNameError` with those near it."""
    found = _BY_ID.get(rule_id.upper())
    if found is None:
        raise UnknownNameError(kind="rule", name=rule_id, near=near_ids(rule_id, _BY_ID))
    return found


def near_ids(wanted: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three ids which look like `wanted`: the same letters with the nearest numbers first."""
    parts = re.fullmatch(r"([A-Z]+)-?0*(\d+)", wanted.strip().upper())
    ids = list(known)
    if parts is None:
        return tuple(difflib.get_close_matches(wanted.upper(), ids, n=3, cutoff=0.4))
    letters, number = parts[1], int(parts[2])
    family = [(each, each.removeprefix(letters)) for each in ids if each.startswith(letters)]
    numbered = [(abs(int(rest) - number), each) for each, rest in family if rest.isdecimal()]
    return tuple(each for _, each in sorted(numbered)[:3])
