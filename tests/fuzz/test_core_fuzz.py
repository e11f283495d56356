"""The core's fuzz targets over their corpora and some mutations, under the sanitizers of gcc and clang."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tools import fuzz_core

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 5_000


@pytest.mark.parametrize("target", fuzz_core.TARGETS)
@pytest.mark.parametrize(
    ("compiler", "sanitizers"), [("gcc", "address,undefined"), ("clang", "memory")]
)
def test_corpus_and_mutations_under_sanitizers(
    tmp_path: Path, target: str, compiler: str, sanitizers: str
) -> None:
    path = fuzz_core.find_clang() if compiler == "clang" else shutil.which("gcc")
    if path is None:
        pytest.skip(f"needs {compiler} with its sanitizer libraries")
    program = fuzz_core.build(
        target, tmp_path, compiler=path, is_libfuzzer=False, sanitizers=sanitizers
    )
    files = fuzz_core.corpus_of(target)

    done = subprocess.run(
        [program, str(ROUNDS), *files], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(files)} files, {ROUNDS} rounds\n"
    assert len(files) > 10


@pytest.mark.parametrize("target", fuzz_core.TARGETS)
def test_corpus_and_some_runs_of_libfuzzer(tmp_path: Path, target: str) -> None:
    clang = fuzz_core.find_clang()
    if clang is None:
        pytest.skip("needs clang with libFuzzer: Debian's clang-19 and libclang-rt-19-dev")
    program = fuzz_core.build(target, tmp_path, compiler=clang, is_libfuzzer=True)
    found = tmp_path / "found"
    shutil.copytree(fuzz_core.CORPUS / target, found)

    done = subprocess.run(
        [program, str(found), f"-runs={ROUNDS}", "-seed=1", "-max_len=4096"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]


def test_corpora_are_small() -> None:
    for target in fuzz_core.TARGETS:
        files = fuzz_core.corpus_of(target)
        assert len(files) <= 500, target
        assert max(path.stat().st_size for path in files) <= fuzz_core.KEPT_BYTES_MAX, target
