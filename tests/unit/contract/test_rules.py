"""The table of rules is whole and consistent; profiles and conditions say what they mean."""

from __future__ import annotations

import re

import pytest

import interlock
from interlock.contract import (
    QUESTIONS,
    SWITCHES,
    Condition,
    EffectKind,
    Entitlements,
    MacosVersion,
    Mark,
    Observation,
    Profile,
    Rule,
    profile,
    profiles,
    rule,
    rules,
)
from interlock.contract.entitlements import (
    ALLOW_JIT,
    DISABLE_EXECUTABLE_PAGE_PROTECTION,
    JIT_WRITE_ALLOWLIST,
    JIT_WRITE_ALLOWLIST_FREEZE_LATE,
)
from interlock.contract.switches import switch_settings
from interlock.errors import UnknownNameError, UnsupportedError

# How many rules each section of the specification has.
_SECTIONS = {"A": 15, "P": 9, "T": 14, "C": 25, "F": 5, "I": 6, "X": 6, "K": 10, "O": 6}


def test_table_has_every_rule_of_the_specification() -> None:
    wanted = [f"{letter}{n}" for letter, last in _SECTIONS.items() for n in range(1, last + 1)]

    assert sorted(each.id for each in rules()) == sorted(wanted)


@pytest.mark.parametrize("each", rules(), ids=lambda each: each.id)
def test_rule_is_complete(each: Rule) -> None:
    assert each.statement.endswith(".")
    assert not re.search(r"[.!?] +[A-Z]", each.statement), "more than one sentence"
    assert each.effects
    assert each.evidence
    assert each.when
    assert each.example.strip()
    for effect in each.effects:
        named = {EffectKind.ERRNO, EffectKind.SIGNAL, EffectKind.KILL}
        assert bool(effect.name) == (effect.kind in named), effect
        assert bool(effect.message) == (effect.kind is EffectKind.KILL), effect
        assert effect.text


@pytest.mark.parametrize("each", SWITCHES, ids=lambda each: each.name)
def test_switch_belongs_to_a_rule_and_has_a_choice(each: interlock.contract.Switch) -> None:
    assert rule(each.rule).id == each.rule
    assert len(each.values) >= 2


def test_rule_whose_evidence_is_unknown_is_a_switch_or_no_matter_of_the_model() -> None:
    switched = {each.rule for each in SWITCHES}
    open_rules = {
        each.id
        for each in rules()
        if Mark.UNK in each.marks and each.observation is Observation.SCENARIO
    }

    # C10: what a linker does.  C21: a query that nobody found; the model offers none.
    assert open_rules - switched == {"C10", "C21"}


def test_open_questions_are_ten_and_name_their_switch() -> None:
    names = {each.name for each in SWITCHES}

    assert [each.number for each in QUESTIONS] == list(range(1, 11))
    assert all(not each.switch or each.switch in names for each in QUESTIONS)
    assert all(rule(each.rule) for each in QUESTIONS)


def test_six_profiles() -> None:
    assert [each.name for each in profiles()] == [
        "macos-arm64",
        "macos-arm64-hardened",
        "macos-arm64-allowlist",
        "macos-x86_64",
        "macos-x86_64-hardened",
        "rosetta",
    ]
    assert [each.page_bytes for each in profiles()] == [16384] * 3 + [4096] * 3


def test_public_names_are_reachable_from_the_package() -> None:
    assert interlock.contract.profile("macos-arm64-hardened").is_hardened
    assert interlock.contract.rules()


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (
            lambda: profile("macos-arm46"),
            "there is no profile 'macos-arm46'; did you mean macos-arm64",
        ),
        (lambda: profile(""), "there is no profile ''; did you mean macos-arm64, "),
        (lambda: rule("C99"), "there is no rule 'C99'; did you mean C25, C24 or C23"),
        (lambda: rule("?"), r"there is no rule '\?'$"),
        (
            lambda: switch_settings({"fork": "rx"}),
            "there is no switch 'fork'; did you mean fork-state",
        ),
        (
            lambda: switch_settings({"monitor": "x"}),
            "no value of monitor 'x'; did you mean off or on",
        ),
        (lambda: MacosVersion.parse("eleven"), "there is no version of macOS 'eleven'"),
    ],
)
def test_unknown_name_says_what_is_near(find: object, message: str) -> None:
    assert callable(find)
    with pytest.raises(UnknownNameError, match=message):
        find()


def test_apple_silicon_starts_with_macos_11() -> None:
    with pytest.raises(UnsupportedError, match=r"11\.0"):
        profile("macos-arm64").with_(macos=MacosVersion(10, 15))
    assert profile("macos-x86_64").with_(macos=MacosVersion(10, 13)).macos == (10, 13)


def _process(name: str, *keys: str) -> Profile:
    return profile(name).with_(entitlements=Entitlements.of(dict.fromkeys(keys, True)))


@pytest.mark.parametrize(
    ("rule_id", "process", "applies"),
    [
        ("A1", _process("macos-arm64"), True),
        ("A1", _process("macos-x86_64"), False),
        ("A1", _process("macos-x86_64-hardened"), True),
        ("A1", _process("macos-x86_64-hardened", DISABLE_EXECUTABLE_PAGE_PROTECTION), False),
        ("A8", _process("macos-arm64-hardened"), True),
        ("A8", _process("macos-arm64-hardened", ALLOW_JIT), False),
        ("A8", _process("macos-arm64"), False),
        ("P1", profile("macos-arm64").with_(macos=MacosVersion(11, 1)), False),
        ("P1", profile("macos-arm64").with_(macos=MacosVersion(11, 2)), True),
        ("P1", profile("rosetta"), False),
        ("C8", _process("macos-arm64", JIT_WRITE_ALLOWLIST), True),
        ("C8", _process("rosetta", JIT_WRITE_ALLOWLIST), False),
        ("F1", _process("macos-arm64", JIT_WRITE_ALLOWLIST_FREEZE_LATE), False),
        ("F3", _process("macos-arm64", JIT_WRITE_ALLOWLIST_FREEZE_LATE), True),
        ("O1", profile("macos-arm64"), False),
    ],
)
def test_rule_applies_to_the_processes_it_names(
    rule_id: str,
    process: Profile,
    applies: bool,  # noqa: FBT001  (a column of the table)
) -> None:
    assert rule(rule_id).applies_to(process) is applies


def test_condition_reads_as_text() -> None:
    everything = Condition(
        chips=frozenset({interlock.contract.Chip.INTEL}),
        hardened=True,
        entitled=(ALLOW_JIT,),
        not_entitled=("com.example.other",),
        macos_from=MacosVersion(11, 2),
        macos_before=MacosVersion(27),
        system=interlock.contract.System.IOS,
    )

    assert str(everything) == (
        "iOS, Intel, hardened, with allow-jit, without com.example.other, "
        "macOS 11.2 and later, before macOS 27.0"
    )
    assert str(Condition()) == "always"
