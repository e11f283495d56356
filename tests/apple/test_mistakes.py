"""The example of a program for a Mac, and the same program with each classic mistake, under every profile."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interlock import contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.apple.conftest import Run, Toolchain

TEXT = Path(__file__).parent / "mistakes.txt"
PROFILES = [profile.name for profile in contract.profiles()]


@dataclass(slots=True, kw_only=True)
class Mistake:
    """One mistake: what it replaces in the example, and its outcomes."""

    name: str
    settings: str = ""
    edits: list[tuple[list[str], list[str]]] = field(default_factory=list)
    outcomes: list[tuple[str, str]] = field(default_factory=list)

    def apply_to(self, source: str) -> str:
        """The example with the mistake in it."""
        for old, new in self.edits:
            before, after = "\n".join(old), "\n".join(new)
            assert source.count(f"{before}\n") == 1, before
            source = source.replace(f"{before}\n", f"{after}\n")
        return source

    def outcome_for(self, profile: str) -> str:
        """What is expected."""
        return next(text for pattern, text in self.outcomes if fnmatchcase(profile, pattern))


def parse(text: str) -> list[Mistake]:
    """The mistakes of a file."""
    found: list[Mistake] = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        match word:
            case "mistake":
                found.append(Mistake(name=rest))
            case "settings":
                found[-1].settings = rest
            case "-":
                if not found[-1].edits or found[-1].edits[-1][1]:
                    found[-1].edits.append(([], []))
                found[-1].edits[-1][0].append(rest)
            case "+":
                found[-1].edits[-1][1].append(rest)
            case ">":
                profile, _, outcome = rest.partition(": ")
                found[-1].outcomes.append((profile, outcome))
            case _:
                assert word in {"", "about", "#"}, line
    return found


MISTAKES = parse(TEXT.read_text(encoding="utf-8"))


@pytest.fixture
def compiled_with(
    toolchain: Toolchain, repository: Path, tmp_path: Path
) -> Callable[[Mistake], Path]:
    """Compiles the example with a mistake in it."""
    examples = repository / "examples/apple"

    def compile_with(mistake: Mistake) -> Path:
        example = (examples / "calculator.c").read_text(encoding="utf-8")
        source = tmp_path / "calculator.c"
        source.write_text(mistake.apply_to(example), encoding="utf-8")
        flags = (f"-I{examples}", "-Wno-unused-function")
        return toolchain.compile(tmp_path / "calculator", source, flags=flags)

    return compile_with


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.name)
def test_mistake_comes_to_what_the_contract_says(
    toolchain: Toolchain, mistake: Mistake, compiled_with: Callable[[Mistake], Path]
) -> None:
    program = compiled_with(mistake)

    for profile in PROFILES:
        settings = f"profile={profile} verbose=1 {mistake.settings}"
        run = toolchain.run(program, "6", "7", "*", settings=settings)
        assert _describe(run) == mistake.outcome_for(profile), (profile, run)


def _describe(run: Run) -> str:
    """The run in the words of the file."""
    lines = run.stderr.splitlines()
    rules = [line.split(": ")[1] for line in lines if line.startswith("interlock: ")]
    if run.signal:
        return f"{run.signal} {rules[-1]}"
    if run.status == 0 and not rules:
        return f"prints {run.stdout.strip()}"
    (errno,) = {line.split()[4] for line in lines if " fails: " in line}
    return f"fails {errno.rstrip(':')} {rules[-1]}"


def test_kills_come_with_the_messages_of_their_rules(
    toolchain: Toolchain, compiled_with: Callable[[Mistake], Path]
) -> None:
    (mistake,) = [each for each in MISTAKES if each.name == "callback-not-listed"]

    run = toolchain.run(compiled_with(mistake), "1", settings="profile=macos-arm64-allowlist")

    rule = contract.rule("C8")
    assert run.stderr.splitlines() == [
        rule.effects[0].message,
        f"interlock: C8: {rule.statement} (interlock explain C8)",
    ]


def test_tutorial_shows_the_example_and_its_messages(repository: Path) -> None:
    tutorial = (repository / "docs/tutorials/a-jit-for-a-mac.md").read_text(encoding="utf-8")
    example = (repository / "examples/apple/calculator.c").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", tutorial, re.MULTILINE | re.DOTALL)
    shown = [line for kind, body in blocks if kind == "console" for line in body.splitlines()]
    rules = [line for line in shown if line.startswith("interlock: ")]

    assert len(blocks) > 8
    assert [body for kind, body in blocks if kind == "c" and body not in example] == []
    assert len(rules) == 2
    for line in rules:
        rule = contract.rule(line.split(": ")[1])
        assert line.endswith(f": {rule.statement} (interlock explain {rule.id})")


def test_every_profile_has_an_outcome_of_every_mistake() -> None:
    assert len(MISTAKES) > 20
    for mistake in MISTAKES:
        for profile in PROFILES:
            assert mistake.outcome_for(profile)


def test_outcomes_name_effects_of_their_rules() -> None:
    """An errno or a signal that the rule's table does not have would be typed twice, and differently."""
    for mistake in MISTAKES:
        for _, outcome in mistake.outcomes:
            *_, name, rule = ["", *outcome.split()]
            if outcome.startswith("prints"):
                continue
            assert name in {effect.name for effect in contract.rule(rule).effects}, outcome
