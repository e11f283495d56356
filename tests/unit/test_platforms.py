"""What the package says of itself on the machines it knows, and on others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from interlock import target
from interlock.core import library
from interlock.runtime.config import Protection
from interlock.runtime.protection import protection_of


def test_import_says_where_it_runs_when_it_is_elsewhere() -> None:
    code = "import sys; sys.platform = 'win32'; import interlock"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: Interlock runs on Linux and macOS")
    assert last.endswith("not on win32")


@pytest.mark.parametrize(
    ("platform", "machine", "expected"),
    [
        ("linux", "aarch64", target.AARCH64_LINUX),
        ("darwin", "arm64", target.AARCH64_MACOS),
        ("darwin", "x86_64", target.X86_64_MACOS),
        ("linux", "riscv64", None),
        ("darwin", "ppc", None),
        ("win32", "x86_64", None),
    ],
)
def test_host_target_is_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, platform: str, machine: str, expected: target.Target | None
) -> None:
    uname = os.uname_result(("", "", "", "", machine))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "uname", lambda: uname)

    assert target.host_target() == expected


def test_level_is_never_rounded_up() -> None:
    none, process, alias, callback, anyone = range(5)
    levels = {
        (process, True): Protection.SEALED,
        (
            none,
            True,
        ): Protection.SEALED,  # a fork's, or without its writer: the views are what they were
        (callback, False): Protection.APPLE,
        (anyone, False): Protection.UNPROTECTED,
        (alias, False): Protection.UNPROTECTED,
        (process, False): Protection.UNPROTECTED,
        (none, False): Protection.UNPROTECTED,
    }

    for (writer, has_seals), expected in levels.items():
        info = library.RegionInfo(writer=writer, has_seals=has_seals)
        assert protection_of(info) is expected
