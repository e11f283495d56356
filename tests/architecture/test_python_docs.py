"""The page of what typed Python supports is what the checker's tables say, and the tables are all that the checker knows."""

from __future__ import annotations

from interlock.typed_python import syntax
from interlock.typed_python.lower_operations import OPERATIONS
from interlock.typed_python.operations import REFERENCES
from interlock.typed_python.statements import StatementChecker
from tools import generate_python_docs


def test_page_is_current() -> None:
    page = generate_python_docs.PAGE.read_text(encoding="utf-8")

    assert page == generate_python_docs.page()


def test_every_operation_has_a_reference_and_a_lowering() -> None:
    assert set(OPERATIONS) == set(REFERENCES)


def test_every_operator_and_function_is_an_operation() -> None:
    tables = (syntax.BINARY, syntax.UNARY, syntax.FUNCTIONS)

    named = {row.name for table in tables for row in table.values()}

    assert named | {"convert", "bitcast"} == set(REFERENCES)


def test_every_supported_statement_has_a_method() -> None:
    for kind in syntax.STATEMENTS:
        assert hasattr(StatementChecker, f"_{kind.__name__.lower()}")
