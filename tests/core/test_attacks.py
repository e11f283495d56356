"""The running application cannot write its own code memory: every attack of the table, as an ordinary user.

Each attack runs twice in a process of its own: on published code, where it must change nothing, and on unprotected memory, where
it must succeed (so that the first answer means something).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.attacks import ATTACKS

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent

# What no seal but mseal (Linux 6.10) refuses: the mapping is replaced or dropped, its memory is not written.
NEEDS_MSEAL = {
    "map_fixed_code",
    "map_fixed_rodata",
    "mprotect_code_none",
    "mprotect_rodata_rx",
    "mremap_away",
    "mremap_onto",
    "munmap_code",
    "munmap_rodata",
    "remap_file_pages",
}
# These may succeed: they drop pages of this process which the next access brings back.
HARMLESS = {"madvise_dontneed", "madvise_dontneed_rodata"}
# The kernel refuses these to an ordinary user on any read-execute mapping, so there is nothing to compare with.
WITHOUT_CONTROL = HARMLESS | {"proc_self_map_files", "process_vm_writev_self"}


@pytest.fixture(scope="module")
def directory(core_directory: Path) -> Iterator[Path]:
    """The core where every user can read it."""
    with tempfile.TemporaryDirectory(prefix="interlock-attacks-") as name:
        path = Path(name)
        path.chmod(0o755)
        for file in ("libinterlock.so", "interlock-writer"):
            shutil.copy(core_directory / file, path / file)
            (path / file).chmod(0o755)
        yield path


def _run(directory: Path, attack: str, mode: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "attacks.py"), str(directory), attack, mode],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_attack_on_published_code_changes_nothing(directory: Path, attack: str) -> None:
    report = _run(directory, attack, "sealed")
    if attack in NEEDS_MSEAL and not report["has_mseal"]:
        pytest.skip("this kernel has no mseal (Linux 6.10)")
    assert report["uid"] != 0
    assert not report["succeeded"] or attack in HARMLESS, report
    assert not report["changed"], report
    assert report["result"] == 42


@pytest.mark.parametrize("attack", sorted(set(ATTACKS) - WITHOUT_CONTROL))
def test_attack_on_unprotected_memory_succeeds(directory: Path, attack: str) -> None:
    assert _run(directory, attack, "control")["succeeded"]
