"""The entitlements of the launcher: the least set, each with its reason in the words of the contract's rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.contract import rule
from interlock.contract.entitlements import ALLOW_JIT, JIT_WRITE_ALLOWLIST

DISABLE_LIBRARY_VALIDATION: Final = "com.apple.security.cs.disable-library-validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A key that is true, and why; `rules` of the contract say the rest."""

    key: str
    reason: str
    rules: tuple[str, ...] = ()


_CLAIMS: Final = (
    Claim(key=ALLOW_JIT, reason="The core maps its one code region with MAP_JIT.", rules=("A8",)),
    Claim(
        key=JIT_WRITE_ALLOWLIST,
        reason="Only the core's callback, which validates first, may write code.",
        rules=("C8", "C9", "C21"),
    ),
)
_FOREIGN: Final = Claim(
    key=DISABLE_LIBRARY_VALIDATION,
    reason="Python's library lies outside this folder, signed by somebody else, and a hardened process loads libraries of its own team only.",
)
_ABSENT: Final = """\
Without jit-write-allowlist-freeze-late: the launcher links the core, so its list is read at the start.
Without allow-unsigned-executable-memory: it would include allow-jit and more.
"""
_ABSENT_RULES: Final = ("C18", "F3", "K8")


def claims(*, is_python_foreign: bool) -> tuple[Claim, ...]:
    """The least set for a launcher whose Python is signed with it, or by somebody else."""
    return (*_CLAIMS, _FOREIGN) if is_python_foreign else _CLAIMS


def property_list(wanted: tuple[Claim, ...]) -> str:
    """The `.entitlements` file.  Its comments are for readers: the signing tools get a copy without (some refuse comments)."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
        '<plist version="1.0">',
        "<dict>",
        *_comment(_ABSENT.splitlines(), _ABSENT_RULES),
    ]
    for claim in wanted:
        lines += [*_comment([claim.reason], claim.rules), f"    <key>{claim.key}</key>"]
        lines.append("    <true/>")
    return "\n".join([*lines, "</dict>", "</plist>", ""])


def _comment(text: list[str], rules: tuple[str, ...]) -> list[str]:
    said = [*text, *(f"{each}: {rule(each).statement}" for each in rules)]
    return [f"    <!-- {said[0]}", *(f"         {line}" for line in said[1:]), "    -->"]
