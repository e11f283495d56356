"""The code validator alone, compiled by zig."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.core.validator.driver import Validator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def validator(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Validator:
    """The validator as the product builds it, without the rest of the core."""
    library = tmp_path_factory.mktemp("validator") / "validator.so"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    core = repository / "core"
    names = ("validate", "validate_x86_64", "validate_aarch64", "validate_public")
    sources = [core / "src" / f"{name}.c" for name in names]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.17", *flags]
    command += ["-fPIC", "-shared", f"-I{core / 'include'}", "-o", library, *sources]
    subprocess.run(command, check=True)
    return Validator(library)
