"""The code validator alone, and the data file that it is made from."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.core.validator.driver import Validator


@pytest.fixture(scope="session")
def core(request: pytest.FixtureRequest, repository: Path) -> Path:
    """The sources under test: `--core`, else our own."""
    return Path(request.config.getoption("--core") or repository / "core")


@pytest.fixture(scope="session")
def compiler(request: pytest.FixtureRequest) -> list[str]:
    """`--core-cc`, else zig as the product's build uses it."""
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.17", "-O2"]
    zig += ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    return shlex.split(request.config.getoption("--core-cc") or "") or zig


@pytest.fixture(scope="session")
def validator(
    core: Path, compiler: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Validator:
    """The validator as the product builds it, without the rest of the core."""
    library = tmp_path_factory.mktemp("validator") / "validator.so"
    names = ("validate", "validate_x86_64", "validate_aarch64", "validate_public")
    sources = [core / "src" / f"{name}.c" for name in names]
    flags = ["-std=c11", "-fPIC", "-shared", f"-I{core / 'include'}"]
    subprocess.run([*compiler, *flags, "-o", library, *sources], check=True)
    return Validator(library)


@pytest.fixture(scope="session")
def tables(repository: Path) -> Any:
    """tools/generate_tables.py as a module."""
    path = repository / "tools" / "generate_tables.py"
    spec = importlib.util.spec_from_file_location("generate_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate_tables"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def instrs(tables: Any, core: Path) -> Any:
    """The lines of x86_64.instrs."""
    return tables.parse((core / "tables" / "x86_64.instrs").read_text("ascii"))
