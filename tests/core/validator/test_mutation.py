"""Whichever rule is weakened, a test fails: a sample, for `tools/mutate_validator.py` tries every mutant."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

C_TEXT = """
static uint32_t rule_of(const insn *in) { /* a < b && c */
    return in->size >= 4 && in->size < SIZE_MAX ? 0 : IL_RULE_SIZE;
}
static bool check(pass *run) {
    if (rule_of(in) != 0 && !il_reject(run, IL_RULE_SIZE, 0, "a < b")) return false;
    refuse(run, IL_RULE_SIZE);
    return a | b;
}
"""
CHANGES = {
    'il_reject(run, IL_RULE_SIZE, 0, "a < b") -> true',
    "refuse(run, IL_RULE_SIZE) -> (void)0",
    "IL_RULE_SIZE -> 0",
    ">= -> >",
    "< -> <=",
    "in->size >= 4 -> true",
    "in->size < SIZE_MAX -> true",
    "rule_of(in) != 0 -> true",
    '!il_reject(run, IL_RULE_SIZE, 0, "a < b") -> true',
    "a -> 0",
    "b -> 0",
}


@pytest.fixture(scope="module")
def finder(repository: Path) -> Any:
    """tools/validator_mutants.py as a module."""
    path = repository / "tools" / "validator_mutants.py"
    spec = importlib.util.spec_from_file_location("validator_mutants", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["validator_mutants"] = module
    spec.loader.exec_module(module)
    return module


def test_every_check_bound_and_condition_of_a_c_file_is_found(finder: Any, tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "validate_test.c").write_text(C_TEXT, encoding="ascii")

    found = list(finder.c_mutants(tmp_path, "validate_test.c"))

    assert {mutant.change for mutant in found} == CHANGES
    assert len({mutant.text for mutant in found}) == len(found)


def test_every_column_of_a_table_is_weakened(finder: Any, tmp_path: Path):
    (tmp_path / "tables").mkdir()
    lines = (
        "legacy NP 0F C0 /r:m W0 - rm=rw:b,reg=r:g rax=w 1 - INTEGER lock xadd\n"
        "legacy any 0F 05 - W* - - - - - - V012 syscall\n"
    )
    (tmp_path / "tables" / "x86_64.instrs").write_text(lines, encoding="ascii")

    found = list(finder.table_mutants(tmp_path, "x86_64.instrs"))

    assert {mutant.change for mutant in found} == {
        "NP -> NP/66",
        "/r:m -> /r",
        "W0 -> W*",
        "rm=rw:b,reg=r:g -> rm=r:b,reg=r:g",
        "rm=rw:b,reg=r:g -> rm=rw:g,reg=r:g",
        "rax=w -> rax=r",
        "INTEGER -> NOP",
        "lock -> -",
        "line deleted",
    }


@pytest.mark.skipif(
    shutil.which("gcc") is None, reason="needs gcc, which compiles a mutant fastest"
)
def test_sample_of_mutants_is_noticed(repository: Path):
    command = [sys.executable, repository / "tools" / "mutate_validator.py", "--sample", "16"]
    command += ["--only", "src/validate_x86_64.c"]

    done = subprocess.run([*command, "--jobs", "2"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
