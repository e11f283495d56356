"""The pages about Apple's contract are what its tables say, and their examples do what they show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from interlock.contract import ModelMachine, parse_scenarios, play
from tools import generate_contract_docs

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENTITLEMENTS = b"""<plist version="1.0"><dict>
<key>com.apple.security.cs.allow-jit</key><true/>
</dict></plist>"""


@pytest.mark.parametrize("page", generate_contract_docs.PAGES, ids=lambda page: page.name)
def test_page_is_current(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == generate_contract_docs.PAGES[page]()


def _blocks(repository: Path, language: str) -> list[str]:
    text = (repository / "docs/explanation/contract.md").read_text(encoding="utf-8")
    return [body for kind, body in _BLOCK.findall(text) if kind == language]


def test_scenarios_of_the_explanation_hold(repository: Path) -> None:
    blocks = _blocks(repository, "text")
    scenarios = [each for block in blocks for each in parse_scenarios(block, file="contract.md")]

    assert scenarios
    for scenario in scenarios:
        for profile in scenario.profiles():
            assert not play(scenario, profile, ModelMachine()).failures


def test_python_of_the_explanation_runs(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.entitlements").write_bytes(_ENTITLEMENTS)
    monkeypatch.chdir(tmp_path)
    blocks = _blocks(repository, "python")
    scenario = _blocks(repository, "text")[0]
    (tmp_path / "mine.scenarios").write_text(scenario, encoding="utf-8")

    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "contract.md", "exec"), {})  # noqa: S102  (our own documentation)
