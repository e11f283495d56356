"""`interlock mac run`: the example prints its greeting, and each omission comes to what the tutorial says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import interlock

pytest.importorskip("unicorn", reason="needs unicorn (the extra mac)")
if not (Path(interlock.__file__).parent / "mac/_native/libinterlock.dylib").exists():
    pytest.skip("needs the core's library for macOS: pip install -e .", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Cli

ROOT = Path(__file__).parents[2]
HELLO = str(ROOT / "examples/hello.wat")
TUTORIAL = ROOT / "docs/tutorials/a-program-on-the-modelled-mac.md"
ROWS = re.findall(
    r"^\| `(\S+)` \| .* \| (?:nothing: )?`([^`]+)` \|$",
    TUTORIAL.read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_hello_prints_its_greeting(cli: Cli) -> None:
    done = cli("mac", "run", HELLO)

    assert (done.status, done.out, done.err) == (0, "Hello, world!\n", "")


def test_tutorial_has_a_row_for_each_omission() -> None:
    from interlock.cli.mac_run import OBLIGATIONS

    assert [name for name, _ in ROWS] == list(OBLIGATIONS)


@pytest.mark.parametrize(("omission", "outcome"), ROWS)
def test_omission_comes_to_what_the_tutorial_says(cli: Cli, omission: str, outcome: str) -> None:
    done = cli("mac", "run", "--without", omission, HELLO)

    if outcome == "C6":
        assert (done.status, done.out) == (0, "Hello, world!\n")
        assert done.err.startswith("interlock: the Mac does not notice: C6\n")
    else:
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith(f"interlock: {outcome}")


@pytest.mark.parametrize("omission", ["allow-jit", "allow-list"])
def test_developers_mac_misses_neither_entitlement_nor_list(cli: Cli, omission: str) -> None:
    done = cli("mac", "run", "--profile", "macos-arm64", "--without", omission, HELLO)

    assert (done.status, done.out) == (0, "Hello, world!\n")


def test_first_of_two_omissions_decides(cli: Cli) -> None:
    done = cli("mac", "run", "--without", "invalidate", "--without", "allow-list", HELLO)

    assert done.err.startswith("interlock: kill SIGTRAP C8")


def test_entitlements_of_a_file_replace_the_profiles(cli: Cli) -> None:
    plist = cli.write(
        "app.entitlements",
        '<?xml version="1.0"?><plist version="1.0"><dict/></plist>',
    )

    done = cli("mac", "run", "--entitlements", plist, HELLO)

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("interlock: errno EINVAL A8")


def test_timeline_as_an_object(cli: Cli) -> None:
    done = cli("mac", "run", "--json", HELLO)

    found = json.loads(done.out)
    assert (done.status, found["exit_status"], found["outcome"]) == (0, 0, "ok")
    assert found["stdout"] == "Hello, world!\n"
    events = [each["event"].partition("(")[0] for each in found["timeline"]]
    assert "pthread_jit_write_with_callback_np" in events
    assert events[-1] == "sys_icache_invalidate"


def test_timeline_as_text_goes_to_stderr(cli: Cli) -> None:
    done = cli("mac", "run", "--timeline", HELLO)

    assert done.out == "Hello, world!\n"
    assert "mmap(136314880, rwx, MAP_JIT)" in done.err


def test_profile_of_another_chip_is_refused(cli: Cli) -> None:
    done = cli("mac", "run", "--profile", "rosetta", HELLO)

    assert (done.status, done.out) == (1, "")
    assert "the modelled Mac has an AArch64 processor and no Rosetta" in done.err


def test_unknown_profile_is_a_usage_error(cli: Cli) -> None:
    assert cli("mac", "run", "--profile", "macos-arm65", HELLO).status == 2


def test_missing_package_is_named(cli: Cli) -> None:
    """As without the extra: Unicorn cannot be imported."""
    (cli.directory / "unicorn.py").write_text("raise ImportError", encoding="utf-8")

    done = cli("mac", "run", HELLO, env={"PYTHONPATH": str(cli.directory)})

    assert done.status == 1
    assert done.err == "interlock: the modelled Mac needs unicorn: pip install 'interlock[mac]'\n"


def test_trap_of_the_program_is_told_as_on_any_machine(cli: Cli) -> None:
    program = cli.write(
        "trap.wat", '(module (memory (export "memory") 1) (func (export "_start") unreachable))'
    )

    done = cli("mac", "run", program)

    assert (done.status, done.out) == (1, "")
    assert "unreachable" in done.err


def test_fault_in_a_linear_memory_is_a_trap(cli: Cli) -> None:
    program = cli.write(
        "oob.wat",
        '(module (memory (export "memory") 1) (func (export "_start") (drop (i32.load (i32.const 65536)))))',
    )

    done = cli("mac", "run", program)

    assert "out of bounds memory access" in done.err


def test_module_is_instantiated_as_everywhere(cli: Cli) -> None:
    """Tables, globals, segments, the start function, growing, bulk memory, calls through a table, exit."""
    program = str(ROOT / "tests/core/modelled.wat")

    done = cli("mac", "run", program)

    assert (done.status, done.err) == (38, "")
    assert cli("run", program).status == 38


def test_program_compiled_from_c_gives_the_right_digest(
    cli: Cli, compile_c: Callable[..., Path]
) -> None:
    wasm = compile_c(ROOT / "examples/sha256.c")

    done = cli("mac", "run", str(wasm), "-t")

    assert done.status == 0
    assert "ok" in done.out


def test_nothing_of_it_is_imported_by_other_commands() -> None:
    code = "import sys, interlock.cli.main; print([m for m in sys.modules if 'unicorn' in m or '.mac' in m])"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"
