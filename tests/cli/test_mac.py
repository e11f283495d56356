"""`interlock mac kit` and `mac check` as a user runs them."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock.cli import mac_kit
from interlock.kit import launcher

if TYPE_CHECKING:
    from .conftest import Cli

KIT = ("bin/interlock-launcher", "interlock-launcher.entitlements", "sign.sh", "README.md")


@pytest.fixture(autouse=True)
def _launchers() -> None:
    if not (Path(interlock.__file__).parent / "kit/_native").exists():
        pytest.skip("needs the launchers for macOS: pip install -e .")


def test_kit_lists_what_it_wrote(cli: Cli) -> None:
    done = cli("mac", "kit", "app")

    assert done.status == 0
    assert done.out.splitlines() == [f"app/{name}" for name in KIT]
    assert done.err == "next: app/README.md, on a Mac with macOS 12 or later\n"
    assert all((cli.directory / "app" / name).is_file() for name in KIT)


def test_architectures_to_choose_from_are_those_of_the_launchers() -> None:
    """The command types them, so that its help need not import the kit."""
    parser = argparse.ArgumentParser()
    mac_kit.add_arguments(parser)
    (action,) = (each for each in parser._actions if each.dest == "arch")

    assert tuple(action.choices or ()) == launcher.ARCHITECTURES


def test_kit_as_an_object(cli: Cli) -> None:
    done = cli("mac", "kit", "app", "--json", "--arch", "x86_64", "--python", "/opt/Python")

    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == {
        "directory": "app",
        "files": list(KIT),
        "architecture": "x86_64",
        "minimum_macos": "12.0",
        "python": "/opt/Python",
        "entitlements": [
            "com.apple.security.cs.allow-jit",
            "com.apple.security.cs.jit-write-allowlist",
            "com.apple.security.cs.disable-library-validation",
        ],
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("app", "--python", "Python"), "interlock: the Python library 'Python' is neither"),
        (("app/x",), "interlock: "),
        (("full",), "/full: is there already: the kit goes into a new or an empty folder"),
        (("app", "--arch", "ppc"), "invalid choice"),
        ((), "required: OUT"),
    ],
)
def test_what_cannot_be_written_is_said_in_a_line(
    cli: Cli, args: tuple[str, ...], message: str
) -> None:
    (cli.directory / "full").mkdir()
    cli.write("full/x", "")

    done = cli("mac", "kit", *args)

    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert [each.name for each in cli.directory.iterdir()] == ["full"]


def test_path_beyond_the_limit_names_it(cli: Cli) -> None:
    done = cli("mac", "kit", "app", "--python", "/" + "x" * 1023)

    assert (done.status, done.out) == (1, "")
    assert done.err == "interlock: 1024 passes the limit LAUNCHER_PYTHON_BYTES_MAX (1023)\n"


def test_check_is_for_macs(cli: Cli) -> None:
    if platform.system() == "Darwin":
        pytest.skip("needs another system than macOS")
    done = cli("mac", "check")

    assert (done.status, done.out) == (2, "")
    assert "run it there" in done.err


@pytest.mark.parametrize("args", [(), ("frob",), ("kit", "--frob", "x")])
def test_unknown_use_is_usage(cli: Cli, args: tuple[str, ...]) -> None:
    assert cli("mac", *args).status == 2
