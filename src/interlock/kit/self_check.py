"""What must be true of a signed launcher on a Mac, and how to see it from inside: facts first, then what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.contract import read_linkage, read_signatures
from interlock.contract.allow_list import LIST_SECTION
from interlock.contract.entitlements import (
    ALLOW_JIT,
    JIT_WRITE_ALLOWLIST,
    JIT_WRITE_ALLOWLIST_FREEZE_LATE,
)
from interlock.kit.launcher import CORE_LIBRARY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interlock.contract import Linkage, Signature

# Publishing writes through the callback: where the list is enforced, only a listed one survives that (C8).
PROGRAM = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
ARGUMENTS, RESULT = (2, 3), "5"
_ONE_CALLBACK_BYTES = 16  # and NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was seen in a process of the launcher.

    `toggle_status` and `freeze_status` are the exit statuses of children that made the call: negative for a signal.
    """

    program: Path
    architecture: str
    core_libraries: tuple[Path, ...]
    toggle_status: int
    freeze_status: int
    protection: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must be true, and whether it is."""

    rule: str
    text: str
    is_met: bool
    seen: str

    def __str__(self) -> str:
        """`FAIL C9   the plain toggle kills: exit status 0`."""
        return f"{'ok  ' if self.is_met else 'FAIL'} {self.rule:<4} {self.text}: {self.seen}"


def judge(facts: Facts) -> tuple[Check, ...]:
    """Every check, in the order in which one would look for the cause.

    Raises `OSError` and `EntitlementsError` for files that cannot be read.
    """
    return (*_signature(facts), *_linkage(facts), *_behaviour(facts))


def _read(path: Path, architecture: str) -> tuple[Linkage | None, Signature | None]:
    """What runs of a file that may be universal, as a Python which is no launcher often is."""
    data, name = path.read_bytes(), str(path)
    signatures = read_signatures(data, file=name)
    for linkage, signature in zip(read_linkage(data, file=name), signatures, strict=True):
        if linkage.architecture == architecture:
            return linkage, signature
    return None, None


def _signature(facts: Facts) -> Iterator[Check]:
    _, found = _read(facts.program, facts.architecture)
    yield Check(
        rule="C21",
        text="the launcher is signed",
        is_met=found is not None,
        seen=f"{facts.architecture} of {facts.program}",
    )
    if found is None:
        return
    yield Check(
        rule="A8",
        text="the signature is hardened, or ad hoc for this Mac alone",
        is_met=found.is_hardened != found.is_adhoc,
        seen=f"hardened {found.is_hardened}, ad hoc {found.is_adhoc}",
    )
    held = found.entitlements
    for rule, key, is_wanted in (
        ("A8", ALLOW_JIT, True),
        ("C8", JIT_WRITE_ALLOWLIST, True),
        ("F1", JIT_WRITE_ALLOWLIST_FREEZE_LATE, False),
    ):
        has = held.has(key)
        text = f"{key} is {'true' if is_wanted else 'absent'}"
        yield Check(rule=rule, text=text, is_met=has == is_wanted, seen=str(held.values.get(key)))
    yield _both_blobs(found)
    yield Check(
        rule="K8",
        text="nothing in the entitlements is to be changed",
        is_met=not held.remarks(),
        seen="; ".join(map(str, held.remarks())) or "nothing",
    )


def _both_blobs(found: Signature) -> Check:
    """A signature whose two forms differ means one thing to old systems and another to new ones."""
    is_same = (
        found.xml is not None and found.der is not None and found.xml.values == found.der.values
    )
    seen = f"XML {_keys(found, 'xml')}, DER {_keys(found, 'der')}"
    return Check(rule="X6", text="both forms of the entitlements agree", is_met=is_same, seen=seen)


def _keys(found: Signature, form: str) -> str:
    held = found.xml if form == "xml" else found.der
    return "absent" if held is None else f"{len(held.values)} keys"


def _linkage(facts: Facts) -> Iterator[Check]:
    program, _ = _read(facts.program, facts.architecture)
    libraries = () if program is None else program.libraries
    yield Check(
        rule="C18",
        text="the launcher loads the core at its start",
        is_met=CORE_LIBRARY in libraries,
        seen=", ".join(libraries) or "nothing",
    )
    yield Check(
        rule="C19",
        text="the process holds the core once",
        is_met=len(facts.core_libraries) == 1,
        seen=", ".join(map(str, facts.core_libraries)) or "not at all",
    )
    for path in facts.core_libraries:
        library, _ = _read(path, facts.architecture)
        section = None if library is None else library.sections.get(LIST_SECTION)
        yield Check(
            rule="C10",
            text="its list holds one callback and NULL",
            is_met=section is not None and section.size_bytes == _ONE_CALLBACK_BYTES,
            seen="no list" if section is None else f"{section.size_bytes} bytes",
        )


def _behaviour(facts: Facts) -> Iterator[Check]:
    """On Intel there is neither toggle nor list: the same calls do nothing (C9, F4)."""
    is_enforced = facts.architecture == "arm64"
    for rule, call, status in (
        ("C9", "pthread_jit_write_protect_np", facts.toggle_status),
        ("F3", "pthread_jit_write_freeze_callbacks_np", facts.freeze_status),
    ):
        yield Check(
            rule=rule,
            text=f"{call} {'kills' if is_enforced else 'does nothing'}",
            is_met=status < 0 if is_enforced else status == 0,
            seen=f"signal {-status}" if status < 0 else f"exit status {status}",
        )
    yield Check(
        rule="C8",
        text="a function is compiled, published and called",
        is_met=facts.result == RESULT,
        seen=facts.result,
    )
    wanted = "apple" if is_enforced else "unprotected"
    yield Check(
        rule="T10",
        text=f"the level of protection is {wanted}",
        is_met=facts.protection == wanted,
        seen=facts.protection,
    )
