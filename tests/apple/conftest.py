"""Programs for a Mac, compiled with gcc against the C library of Apple's calls, and run under its profiles."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from apple.probe import build
from tools import build_wheels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a program ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def signal(self) -> str:
        """The name of the signal that ended it; empty if none did."""
        return signal.Signals(-self.status).name if self.status < 0 else ""


class Toolchain:
    """Compiles programs against the library, and runs them under settings."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix

    def compile(self, out: Path, *sources: Path, flags: tuple[str, ...] = ()) -> Path:
        """A program, or a shared library with `-shared -fPIC` among the flags."""
        compiler = "g++" if sources[0].suffix == ".cpp" else "gcc"
        language = [] if compiler == "g++" else ["-std=gnu11"]
        command = [
            *(compiler, *language, "-O1", "-g0", "-Wall", "-Wextra", "-Werror", "-pthread"),
            *(f"-I{self.prefix}/include", *flags, *map(str, sources)),
            *(f"-L{self.prefix}/lib", f"-Wl,-rpath,{self.prefix}/lib", "-linterlock_apple"),
            *("-ldl", "-o", str(out)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return out

    @staticmethod
    def run(program: Path, *arguments: str, settings: str = "") -> Run:
        """Run it under these settings."""
        done = subprocess.run(
            [program, *arguments],
            env=os.environ | {"INTERLOCK_APPLE": settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS_MAX,
        )
        return Run(status=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture(scope="session")
def toolchain(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """The library of the sources as they are, built with gcc."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    prefix = tmp_path_factory.mktemp("apple")
    build_wheels.load_core_build().build_apple(prefix, cc="gcc")
    return Toolchain(prefix)


@pytest.fixture(scope="session")
def driver_toolchain(tmp_path_factory: pytest.TempPathFactory) -> build.Toolchain:
    """For the scenario driver and the probe, with the library of the sources as they are."""
    return build.linux(tmp_path_factory.mktemp("apple"), shutil.which("gcc"))


@pytest.fixture(scope="session")
def compiled(
    toolchain: Toolchain, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Compiles `tests/apple/programs/NAME.c`, once."""

    @functools.cache
    def of_name(name: str) -> Path:
        source = repository / "tests/apple/programs" / f"{name}.c"
        return toolchain.compile(tmp_path_factory.mktemp(name) / name, source)

    return of_name
