"""The C library's tables are those of interlock.contract, and its page is that of its differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interlock import contract
from interlock.apple.differences import DIFFERENCES
from tools import generate_apple_tables

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", generate_apple_tables.PAGES, ids=lambda page: page.name)
def test_table_is_current(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == generate_apple_tables.PAGES[page]()


def test_differences_name_rules() -> None:
    known = {rule.id for rule in contract.rules()}

    assert {rule for each in DIFFERENCES for rule in each.rules} <= known
