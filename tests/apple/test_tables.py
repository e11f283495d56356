"""The C library's tables are those of interlock.contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools import generate_apple_tables

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", generate_apple_tables.PAGES, ids=lambda page: page.name)
def test_table_is_current(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == generate_apple_tables.PAGES[page]()
