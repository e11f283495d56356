"""Apple's rules for just-in-time compilers as data, and a model that applies them.

    >>> import interlock
    >>> interlock.contract.rule("C8").statement
    'With jit-write-allowlist a callback that is not on the list kills the process.'
    >>> interlock.contract.profile("macos-arm64-hardened").page_bytes
    16384

Needs neither LLVM nor the core, and runs anywhere.
"""

from interlock.contract.entitlements import Entitlements, Remark, parse_plist
from interlock.contract.entitlements_der import parse_der
from interlock.contract.macho import Signature, is_macho, read_signatures
from interlock.contract.page import describe, facts
from interlock.contract.profile import Chip, MacosVersion, Profile, profile, profiles
from interlock.contract.rule import (
    MARK_MEANINGS,
    Condition,
    Effect,
    EffectKind,
    Evidence,
    Mark,
    Observation,
    Rule,
    System,
)
from interlock.contract.switches import QUESTIONS, SWITCHES, Question, Switch
from interlock.contract.table import SECTIONS, near_ids, rule, rules

__all__ = [
    "MARK_MEANINGS",
    "QUESTIONS",
    "SECTIONS",
    "SWITCHES",
    "Chip",
    "Condition",
    "Effect",
    "EffectKind",
    "Entitlements",
    "Evidence",
    "MacosVersion",
    "Mark",
    "Observation",
    "Profile",
    "Question",
    "Remark",
    "Rule",
    "Signature",
    "Switch",
    "System",
    "describe",
    "facts",
    "is_macho",
    "near_ids",
    "parse_der",
    "parse_plist",
    "profile",
    "profiles",
    "read_signatures",
    "rule",
    "rules",
]
