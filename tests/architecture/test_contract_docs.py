"""The reference page of Apple's contract is what its table says."""

from __future__ import annotations

from tools import generate_contract_docs


def test_contract_page_is_current() -> None:
    assert generate_contract_docs.PAGE.read_text(encoding="utf-8") == generate_contract_docs.page()
