"""The rules that `interlock explain` knows: a page for each, whatever family it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interlock import contract
from interlock.cli import output

if TYPE_CHECKING:
    from collections.abc import Mapping

# In a wheel beside this file (pyproject.toml, force-include); in a source tree with the rest of the documentation.
_HOMES = (Path(__file__).parent / "rules", Path(__file__).parents[3] / "docs/reference/rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    """What can be said about one rule."""

    id: str
    title: str
    text: str
    facts: Mapping[str, object]


def all_pages() -> dict[str, RulePage]:
    """Every rule by id: the code validator's, then Apple's."""
    pages = [*_validator_pages(), *_contract_pages()]
    return {page.id: page for page in pages}


def find(rule_id: str) -> RulePage:
    """The page of one rule; an unknown id raises `UsageError` with those near it."""
    pages = all_pages()
    page = pages.get(rule_id.upper())
    if page is None:
        near = contract.near_ids(rule_id, pages)
        hint = f"; near it: {', '.join(near)}" if near else ""
        message = f"there is no rule {rule_id!r}{hint}; `interlock explain` lists them"
        raise output.UsageError(message)
    return page


def _validator_pages() -> list[RulePage]:
    """The code validator's rules, from the first home that has any."""
    for home in _HOMES:
        found = sorted(home.glob("V*.md"))
        if found:
            return [_validator_page(path) for path in found]
    raise output.UsageError("this installation has no pages on rules")


def _validator_page(path: Path) -> RulePage:
    """Its first line is `# V012 SYSTEM_CALL: the instruction calls the system`."""
    text = path.read_text(encoding="utf-8").rstrip("\n")
    title = text.partition("\n")[0].removeprefix("# ")
    facts = {"rule": path.stem, "title": title, "text": text}
    return RulePage(id=path.stem, title=title, text=text, facts=facts)


def _contract_pages() -> list[RulePage]:
    """The rules of Apple's contract."""
    return [
        RulePage(
            id=rule.id,
            title=f"{rule.id}: {rule.statement}",
            text=contract.describe(rule),
            facts={
                **contract.facts(rule),
                "title": f"{rule.id}: {rule.statement}",
                "text": contract.describe(rule),
            },
        )
        for rule in contract.rules()
    ]
