"""An engine for the tests of running programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def engine() -> Iterator[interlock.Engine]:
    """One for a file of tests: each test has instances of its own."""
    with interlock.Engine() as opened:
        yield opened


@pytest.fixture
def make(engine: interlock.Engine) -> Callable[..., interlock.Instance]:
    """Instantiates a text module; imports by module name."""

    def instantiate(wat: str, **imports: object) -> interlock.Instance:
        return engine.instantiate(engine.compile_wat(wat), imports)  # type: ignore[arg-type]  # tests pass wrong ones too

    return instantiate
