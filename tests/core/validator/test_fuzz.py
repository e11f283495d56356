"""The fuzz target for some seconds under sanitizers, with its own fixed mutations."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc with its sanitizer libraries")
def test_mutated_images_under_address_and_undefined_sanitizers(repository: Path, tmp_path: Path):
    core = repository / "core"
    program = tmp_path / "fuzz_validate"
    flags = ["-std=c11", "-O1", "-g", "-DIL_FUZZ_MAIN", "-fno-sanitize-recover=all"]
    flags += ["-fsanitize=address,undefined", f"-I{core / 'include'}", f"-I{core / 'src'}"]
    names = ("validate", "validate_x86_64", "validate_aarch64")
    sources = [core / "fuzz" / "fuzz_validate.c", *(core / "src" / f"{name}.c" for name in names)]
    subprocess.run(["gcc", *flags, "-o", program, *sources], check=True)

    result = subprocess.run([program, "200000"], check=False, capture_output=True, text=True)

    assert (result.returncode, result.stderr) == (0, "")
