"""The core as the package has it: the library that is loaded in this process too, since a process has one region."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interlock.core import library
from tools.build_wheels import load_core_build

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def core_directory() -> Path:
    """The directory with libinterlock.so and interlock-writer."""
    return Path(library.WRITER_PATH).parent


@pytest.fixture
def in_child(core_directory: Path) -> Callable[[str], str]:
    """Runs Python in a process of its own, with `core` (not open) and `lib`; returns what it prints."""

    def run(body: str) -> str:
        head = """
            import ctypes, os, signal, sys, threading
            from pathlib import Path
            sys.path.insert(0, sys.argv[1])
            import core_library as lib
            core = lib.Core(Path(sys.argv[2]))
        """
        script = textwrap.dedent(head) + textwrap.dedent(body)
        done = subprocess.run(
            [sys.executable, "-c", script, str(HERE), str(core_directory)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def modelled_library(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The core's library for Apple silicon, as core/build.py makes it."""
    (made,) = load_core_build().build_modelled(tmp_path_factory.mktemp("modelled"))
    data: bytes = made.read_bytes()
    return data
