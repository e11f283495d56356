"""The core as the package has it: the library that is loaded in this process too, since a process has one region."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core import library


@pytest.fixture(scope="session")
def core_directory() -> Path:
    """The directory with libinterlock.so and interlock-writer."""
    return Path(library.WRITER_PATH).parent
