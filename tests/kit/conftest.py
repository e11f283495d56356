"""The launchers that the package holds."""

from __future__ import annotations

from pathlib import Path

import pytest

import interlock

NATIVE = Path(interlock.__file__).parent / "kit/_native"


@pytest.fixture(autouse=True)
def _launchers() -> None:
    if not NATIVE.exists():
        pytest.skip("needs the launchers for macOS: pip install -e .")
