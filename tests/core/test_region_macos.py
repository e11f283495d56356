"""The macOS core's region, run on Linux under a model of Apple's calls.  Not a Mac."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Of Linux, and what macOS has instead of the system's own.
_WITHOUT = {
    "harden_linux.c",
    "cache_linux.c",
    "memory_functions_macos.c",
    "region_linux.c",
    "region_macos.c",
    "signals_macos.c",
    "writer_main.c",
}


def test_region_of_macos_keeps_the_contract_in_the_model(repository: Path, tmp_path: Path) -> None:
    """One MAP_JIT region, writes in the listed callback only, nothing left writable, invalidation afterwards."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("needs Linux on x86-64")
    if shutil.which("gcc"):
        compiler = ["gcc"]
    else:
        pytest.importorskip("ziglang", reason="needs gcc or ziglang")
        compiler = [sys.executable, "-m", "ziglang", "cc"]
    core = repository / "core"
    includes = ["-Iinclude", "-Isrc", "-Isrc/x86_64", "-Isrc/linux"]
    common = [
        *compiler,
        "-std=c11",
        "-D_GNU_SOURCE",
        "-O1",
        *includes,
        "-Wall",
        "-Wextra",
        "-Werror",
    ]
    model = ["-Itests/macos", "-include", "tests/macos/model.h"]
    region, program = tmp_path / "region_macos.o", tmp_path / "region_macos_test"
    subprocess.run(
        [*common, *model, "-c", "src/region_macos.c", "-o", str(region)], cwd=core, check=True
    )
    sources = sorted(str(path) for path in (core / "src").glob("*.c") if path.name not in _WITHOUT)
    sources += ["src/x86_64/arch.c", "src/x86_64/calls.S", "tests/region_macos_test.c", str(region)]
    subprocess.run([*common, *sources, "-pthread", "-o", str(program)], cwd=core, check=True)

    done = subprocess.run([program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
