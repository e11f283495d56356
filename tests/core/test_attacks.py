"""The running application cannot write its own code memory: every attack of the table, as an ordinary user.

Each attack runs twice in a process of its own: on published code, where it must change nothing, and on unprotected memory, where
it must succeed (so that the first answer means something).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interlock.core import attacks, library
from interlock.core.attacks import ATTACKS, HARMLESS, NEEDS_MSEAL, OUTSIDE_THE_REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

# The kernel refuses these to an ordinary user on any read-execute mapping, so there is nothing to compare with.
WITHOUT_CONTROL = HARMLESS | {
    name for name in ATTACKS if "map_files" in name or "read_into" in name
}
WITHOUT_CONTROL |= {"child_process_vm_writev", "outsider_process_vm_writev"}
WITHOUT_CONTROL |= {"io_uring_buffer", "madvise_populate_write", "process_vm_writev_self"}
WITHOUT_CONTROL |= {"new_private_copy_of_code"}  # through map_files too


@pytest.fixture(scope="module")
def writer_path() -> Iterator[str]:
    """The writer program where every user can start it."""
    with tempfile.TemporaryDirectory(prefix="interlock-attacks-") as name:
        Path(name).chmod(0o755)
        path = Path(name) / "interlock-writer"
        shutil.copy(library.WRITER_PATH, path)
        path.chmod(0o755)
        yield str(path)


def _run(writer_path: str, attack: str, mode: str, *, hardening: str = "plain") -> attacks.Report:
    done = subprocess.run(
        attacks.command(writer_path, mode, "ordinary", hardening, attack),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}"
    return attacks.Report(**json.loads(done.stdout))


@pytest.mark.parametrize("hardening", ["plain", "hardened"])
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_attack_on_published_code_changes_nothing(
    writer_path: str, attack: str, hardening: str
) -> None:
    report = _run(writer_path, attack, "sealed", hardening=hardening)
    if attack in NEEDS_MSEAL and not report.has_mseal:
        pytest.skip("this kernel has no mseal (Linux 6.10)")
    assert report.uid != 0
    is_new_memory = attack in OUTSIDE_THE_REGION and hardening == "plain"
    assert not report.succeeded or attack in HARMLESS or is_new_memory, report
    assert not report.changed, report


@pytest.mark.parametrize("attack", sorted(set(ATTACKS) - WITHOUT_CONTROL))
def test_attack_on_unprotected_memory_succeeds(writer_path: str, attack: str) -> None:
    report = _run(writer_path, attack, "control")

    assert report.succeeded, report
