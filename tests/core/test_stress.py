"""Everything at once: the core's C interface, plainly and under ThreadSanitizer, and the whole from Python."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tools.build_wheels import load_core_build

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = ("-std=c11", "-O1", "-g", "-D_GNU_SOURCE", "-pthread", "-Iinclude", "-Isrc", "-Isrc/linux")
OF_ARCH = "-Isrc/x86_64"
# ThreadSanitizer's own handlers must stay out of the way: core/tests/thread_sanitizer.c says why.
SIGNALS = ("traps.c", "signals_linux.c")
SANITIZED = ("-fsanitize=thread", "--param", "tsan-instrument-func-entry-exit=0")
SECONDS = "3"


def _sources() -> list[str]:
    core = load_core_build()
    target = core.TARGETS["x86_64-linux"]
    library = next(each for each in target.programs if each.name == "libinterlock.so")
    sources: list[str] = core.sources_of(library, target)
    return sources


def _compile(repository: Path, *words: str) -> None:
    done = subprocess.run(
        ["gcc", *FLAGS, OF_ARCH, *words],
        cwd=repository / "core",
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot find" in done.stderr:
        pytest.skip("needs gcc's libtsan")
    assert done.returncode == 0, done.stderr


def _counts(*command: str) -> dict[str, int]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return {
        name: int(count)
        for name, count in (line.rsplit(" ", 1) for line in done.stdout.splitlines())
    }


@pytest.fixture
def needs_gcc() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    if platform.machine() != "x86_64":
        pytest.skip("needs x86-64: the machine code of stress_test.c")


@pytest.mark.usefixtures("needs_gcc")
def test_the_core_stands_everything_at_once(
    repository: Path, tmp_path: Path, core_directory: Path
) -> None:
    program = tmp_path / "stress"
    _compile(repository, "tests/stress_test.c", *_sources(), "-o", str(program))
    counts = _counts(str(program), f"{core_directory}/interlock-writer", SECONDS, "with-fork")

    assert counts.pop("retired while it ran") >= 0
    assert all(counts.values()), counts


@pytest.mark.usefixtures("needs_gcc")
def test_the_core_has_no_data_race(repository: Path, tmp_path: Path, core_directory: Path) -> None:
    if shutil.which("setarch") is None:
        pytest.skip("needs setarch: ThreadSanitizer wants addresses that are not random")
    sources = _sources()
    signals = [name for name in sources if name.endswith(SIGNALS)]
    objects = []
    for name in signals:
        objects.append(str(tmp_path / f"{len(objects)}.o"))
        _compile(repository, "-c", name, "-o", objects[-1])
    program = tmp_path / "stress"
    _compile(
        repository,
        *(*SANITIZED, "-Wl,--wrap=sigaction", "tests/stress_test.c", "tests/thread_sanitizer.c"),
        *(*objects, *(name for name in sources if name not in signals), "-o", str(program)),
    )
    counts = _counts("setarch", "-R", str(program), f"{core_directory}/interlock-writer", SECONDS)

    assert counts["called"] > 0
    assert counts["interrupted"] > 0


def test_the_whole_stands_everything_at_once(repository: Path) -> None:
    counts = _counts(sys.executable, str(repository / "tools/stress.py"), "--seconds", SECONDS)

    assert set(counts) == {"calls", "forks", "interrupts", "publishes", "retires", "times_out"}
