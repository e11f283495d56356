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
from interlock.contract.linkage import Linkage, read_linkage
from interlock.contract.machine import Machine, ModelMachine, Report, StepResult, play
from interlock.contract.macho import Signature, read_signatures
from interlock.contract.macho_file import Section, is_macho
from interlock.contract.outcome import Outcome, OutcomeKind
from interlock.contract.page import describe, facts
from interlock.contract.port_failure import PortFailure, SeenBy
from interlock.contract.port_failures import PORT_FAILURES
from interlock.contract.process import Process
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
from interlock.contract.scenario import Expectation, Scenario
from interlock.contract.scenario_parser import parse_scenarios
from interlock.contract.steps import VERBS, Step, Verb
from interlock.contract.switches import QUESTIONS, SWITCHES, Question, Switch
from interlock.contract.table import SECTIONS, near_ids, rule, rules

__all__ = [
    "MARK_MEANINGS",
    "PORT_FAILURES",
    "QUESTIONS",
    "SECTIONS",
    "SWITCHES",
    "VERBS",
    "Chip",
    "Condition",
    "Effect",
    "EffectKind",
    "Entitlements",
    "Evidence",
    "Expectation",
    "Linkage",
    "Machine",
    "MacosVersion",
    "Mark",
    "ModelMachine",
    "Observation",
    "Outcome",
    "OutcomeKind",
    "PortFailure",
    "Process",
    "Profile",
    "Question",
    "Remark",
    "Report",
    "Rule",
    "Scenario",
    "Section",
    "SeenBy",
    "Signature",
    "Step",
    "StepResult",
    "Switch",
    "System",
    "Verb",
    "describe",
    "facts",
    "is_macho",
    "near_ids",
    "parse_der",
    "parse_plist",
    "parse_scenarios",
    "play",
    "profile",
    "profiles",
    "read_linkage",
    "read_signatures",
    "rule",
    "rules",
]
