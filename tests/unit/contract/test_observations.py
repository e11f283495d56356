"""What the probe wrote is read strictly, kept as it is, and told where rules and switches are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interlock import contract, limits
from interlock.contract import observations, probe_result, switches, table
from interlock.contract.rule import Mark
from interlock.errors import LimitExceededError, ProbeResultError

if TYPE_CHECKING:
    from pathlib import Path

    from interlock.contract.observations import ProbeResult

HEADER = {
    "probe": 1,
    "macos": "26.1",
    "build": "25B78",
    "chip": "Apple M4",
    "process": "arm64",
    "date": "2026-12-01",
    "scenarios": "54d08f000d08c995",
    "note": "",
}
AGREES = {"scenario": "a", "profile": "macos-arm64", "rules": ["T1", "X1"], "verdict": "agrees"}
DIFFERS = {
    "scenario": "b",
    "profile": "macos-arm64",
    "rules": ["P8", "T5"],
    "verdict": "differs",
    "step": "main kernel-write code+0b 5",
    "expected": "errno EFAULT",
    "rule": "P8",
    "seen": "ok",
}
UNKNOWN = {
    "scenario": "c",
    "profile": "macos-arm64",
    "rules": ["K1"],
    "verdict": "unknown",
    "why": "it is about an older version of macOS",
}
Lines = list[dict[str, Any]]


def lines(*cases: dict[str, Any], header: dict[str, Any] = HEADER) -> Lines:
    """A result as the probe writes it: every rule, every switch."""
    counts = {rule.id: dict.fromkeys(("agrees", "differs", "unknown"), 0) for rule in table.rules()}
    for case in cases:
        verdict = case["verdict"]
        for rule in [case["rule"]] if case.get("rule") else case["rules"]:
            counts[rule][verdict] += 1
    return [
        header,
        *cases,
        *({"rule": rule, "verdict": "-", **each} for rule, each in counts.items()),
        *({"switch": each.name, "values": [], "cases": 0} for each in switches.SWITCHES),
        {"question": 1, "answer": []},
        {"end": len(cases)},
    ]


def with_switch(result: Lines, name: str, *values: str) -> Lines:
    """The result with an answer to a switch."""
    made = {"switch": name, "values": list(values), "cases": 2}
    return [made if each.get("switch") == name else each for each in result]


def text(result: Lines) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in result)


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(result: Lines | str) -> ProbeResult:
        path = tmp_path / "result.jsonl"
        path.write_text(result if isinstance(result, str) else text(result), encoding="utf-8")
        return probe_result.read(path)

    return read


def test_result_is_read_whole(read: Any) -> None:
    result = read(with_switch(lines(AGREES, DIFFERS, UNKNOWN), "kernel-write", "follows-state"))

    assert str(result) == "macOS 26.1 (25B78), Apple M4, arm64, 2026-12-01"
    assert result.rules["T1"] == (1, 0, 0)
    assert result.rules["P8"] == (0, 1, 0)
    assert result.rules["T5"] == (0, 0, 0)  # the step that differs is another rule's
    assert result.rules["K1"] == (0, 0, 1)
    assert result.disagreements == (
        "P8 b (macos-arm64): main kernel-write code+0b 5: expected errno EFAULT, seen ok",
    )


def test_difference_behind_which_no_rule_stands_concerns_all_of_the_scenario(read: Any) -> None:
    result = read(lines({**DIFFERS, "rule": ""}))

    assert result.rules["P8"] == result.rules["T5"] == (0, 1, 0)


def test_kept_results_are_read_as_they_were(read: Any) -> None:
    results = (
        read(with_switch(lines(AGREES, DIFFERS, UNKNOWN), "kernel-write", "follows-state")),
        read(lines(AGREES, header={**HEADER, "macos": "15.2"})),
    )

    assert observations.parse(observations.text_of(results)) == results


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda made: made[:-1], "ends too early"),
        (lambda made: made[1:], "result.jsonl:1:1: a line before the header"),
        (lambda made: [made[0], *made], "2:1: a result without its end"),
        (lambda made: [*made, *made], "2 results where one is expected"),
        (lambda made: [{**made[0], "probe": 2}, *made[1:]], "another version of the probe"),
        (lambda made: [{**made[0], "process": "macos-arm64"}, *made[1:]], "no Mac has a process"),
        (lambda made: [{**made[0], "macos": "twenty"}, *made[1:]], "'twenty' is no macos"),
        (lambda made: [{**made[0], "chip": 4}, *made[1:]], "chip is no text"),
        (lambda made: [{**made[0], "chip": "a\nb"}, *made[1:]], "chip is no text"),
        (lambda made: [made[0], made[1], *made[1:]], "3:1: a is there twice for macos-arm64"),
        (lambda made: [made[0], *made[2:]], "there are 2 cases, and the end says 3"),
        (lambda made: [made[0], {**made[1], "verdict": "fits"}, *made[2:]], "is no verdict"),
        (lambda made: [made[0], {**made[1], "rules": "T1"}, *made[2:]], "rules is no list"),
        (lambda made: [made[0], {**made[1], "rules": ["T2"]}, *made[2:]], "counts of rule T1"),
        (
            lambda made: [each for each in made if each.get("rule") != "C8"],
            "nothing is said about C8",
        ),
        (lambda made: [*made[:-1], {"rule": "C99"}, made[-1]], "there is no rule 'C99'"),
        (lambda made: [*made[:-1], made[5], made[-1]], "is there twice"),
        (lambda made: [*made[:-1], {"switch": "jit"}, made[-1]], "values is no list"),
        (
            lambda made: [*made[:-1], {"switch": "jit", "values": []}, made[-1]],
            "there is no switch 'jit'",
        ),
        (
            lambda made: with_switch(made, "monitor", "loud"),
            "'loud' is no value of monitor: off, on",
        ),
        (lambda made: [*made[:-1], {"weather": 1}, made[-1]], "no line that the probe writes"),
        (lambda made: [*made[:-1], {"end": -1}], "end is no count"),
        (lambda made: [*made[:-1], {"end": True}], "end is no count"),
        (lambda made: text(made) + "[1]\n", "no object"),
        (lambda made: text(made) + "{\n", "no line of JSON"),
        (lambda made: text(made) + "[" * 100_000, "no line of JSON"),
    ],
)
def test_damage_is_refused_with_its_place(read: Any, damage: Any, message: str) -> None:
    with pytest.raises(ProbeResultError, match=r"result\.jsonl") as raised:
        read(damage(lines(AGREES, DIFFERS, UNKNOWN)))

    assert message in str(raised.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.jsonl"
    path.write_bytes(b"{\xff}")

    with pytest.raises(ProbeResultError, match="no UTF-8"):
        probe_result.read(path)


def test_size_has_a_limit() -> None:
    at_limit = " " * limits.PROBE_RESULT_BYTES_MAX

    with pytest.raises(ProbeResultError, match="no line of JSON"):
        observations.parse(at_limit)
    with pytest.raises(LimitExceededError, match="PROBE_RESULT_BYTES_MAX"):
        observations.parse(at_limit + " ")


def test_later_result_of_a_machine_replaces_the_earlier(read: Any) -> None:
    first, other = read(lines(AGREES)), read(lines(header={**HEADER, "chip": "Apple M1"}))
    again = read(lines(AGREES, header={**HEADER, "date": "2026-12-02"}))

    assert observations.merged((first, other), again) == (other, again)


# ---- Where it is told --------------------------------------------------------------------------------------------------------


def test_rule_shows_what_macs_saw_before_its_other_evidence(read: Any) -> None:
    rule = table.rule("T1")
    observed = table.observed(rule, (read(lines(AGREES)),))

    assert observed.marks[0] is Mark.MAC
    assert observed.evidence[1:] == rule.evidence
    assert "macOS 26.1 (25B78), Apple M4, arm64, 2026-12-01: agrees, cases: 1" in contract.describe(
        observed
    )


def test_rule_shows_loudly_where_a_mac_differs(read: Any) -> None:
    shown = contract.describe(table.observed(table.rule("P8"), (read(lines(DIFFERS)),)))

    assert "DIFFERS in 1 of 1 cases: P8 b (macos-arm64)" in shown
    assert "expected errno EFAULT, seen ok" in shown


def test_rule_that_nobody_could_ask_keeps_its_evidence(read: Any) -> None:
    rule = table.rule("K1")

    assert table.observed(rule, (read(lines(UNKNOWN)),)) == rule


def _switch(name: str) -> contract.Switch:
    return next(each for each in switches.SWITCHES if each.name == name)


def test_switch_takes_the_answer_of_all_macs(read: Any) -> None:
    asked = read(with_switch(lines(), "jit-regions", "many"))
    silent = read(lines(header={**HEADER, "process": "rosetta"}))

    changed = switches.answered(_switch("jit-regions"), (asked, silent))

    assert changed.values == ("many", "one")
    assert changed.default == "many"


@pytest.mark.parametrize("answers", [(("one",), ("many",)), (("one", "many"),), ((),)])
def test_switch_keeps_its_default_where_macs_leave_it_open(
    read: Any, answers: tuple[tuple[str, ...], ...]
) -> None:
    results = tuple(
        read(with_switch(lines(header={**HEADER, "build": str(number)}), "jit-regions", *values))
        for number, values in enumerate(answers)
    )

    assert switches.answered(_switch("jit-regions"), results) == _switch("jit-regions")


def test_switch_that_no_value_fits_is_a_disagreement(read: Any) -> None:
    result = read(with_switch(lines(), "jit-regions"))

    assert result.disagreements == ("jit-regions: no value fits every case that asked",)


def test_what_is_kept_can_be_read() -> None:
    known = {each.id for each in table.rules()}

    assert all(set(each.rules) <= known for each in observations.kept())
