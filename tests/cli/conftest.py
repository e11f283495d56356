"""Runs the command line as a user does: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one run left."""

    status: int
    out: str
    err: str


class Cli:
    """`interlock ARG...` in a directory of the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *args: str, stdin: str = "", env: dict[str, str] | None = None) -> Done:
        done = subprocess.run(
            self.command(*args),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            cwd=self.directory,
            env={**os.environ, **(env or {})},
            timeout=120,
        )
        return Done(status=done.returncode, out=done.stdout, err=done.stderr)

    @staticmethod
    def command(*args: str) -> list[str]:
        return [sys.executable, "-m", "interlock", *args]

    def write(self, name: str, content: str | bytes) -> str:
        data = content.encode() if isinstance(content, str) else content
        (self.directory / name).write_bytes(data)
        return name


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line in an empty directory."""
    return Cli(tmp_path)
