"""Every rule has a page, links between documents lead somewhere, and the README holds its two commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_RULE = re.compile(r"^IL_RULE\((\d+), (\w+), ", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
HEADINGS = ("What it rejects", "Why it matters", "Rejected", "Accepted", "References")


def _documents(root: Path) -> list[Path]:
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def test_every_rule_has_a_page_with_its_headings(repository: Path) -> None:
    rules = _RULE.findall((repository / "core/include/interlock/rules.def").read_text("utf-8"))
    assert rules
    for number, name in rules:
        page = repository / "docs/reference/rules" / f"V{int(number):03d}.md"
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        missing = [heading for heading in HEADINGS if f"## {heading}" not in text]
        assert not missing, f"{name}: {page} lacks {missing}"


def test_no_page_describes_a_rule_that_is_gone(repository: Path) -> None:
    rules = _RULE.findall((repository / "core/include/interlock/rules.def").read_text("utf-8"))
    known = {f"V{int(number):03d}" for number, _ in rules}

    pages = {path.stem for path in (repository / "docs/reference/rules").glob("V*.md")}

    assert pages <= known


def test_links_lead_somewhere(repository: Path) -> None:
    broken = [
        f"{document.relative_to(repository)}: {target}"
        for document in _documents(repository)
        for target in _LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]

    assert broken == []


def test_readme_holds_two_commands_of_one_line(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")

    commands = [line for line in readme.splitlines() if line.startswith("python3 -m venv ")]

    assert len(commands) == 2
    assert all(not command.endswith("\\") for command in commands)


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "data2", "tmp"])
def test_no_file_has_a_banned_name(repository: Path, word: str) -> None:
    names = [path for path in (repository / "src").rglob("*") if path.stem == word]

    assert names == []
