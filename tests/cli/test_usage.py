"""Help, version, bad usage, missing and foreign files: what happens before anything is compiled."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

import interlock

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Cli

COMMANDS = ("run", "build", "dump", "validate", "cache", "doctor", "contract", "mac", "explain")


def test_version_is_the_packages(cli: Cli) -> None:
    done = cli("--version")

    assert (done.status, done.out, done.err) == (0, f"interlock {interlock.__version__}\n", "")


def test_help_lists_exactly_the_commands_that_exist(cli: Cli) -> None:
    done = cli("--help")

    assert done.status == 0
    listed = done.out.partition("COMMAND\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == list(COMMANDS)
    assert "examples:" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_examples(cli: Cli, command: str) -> None:
    done = cli(command, "--help")

    assert done.status == 0
    assert f"usage: interlock {command}" in done.out
    assert f"\n  interlock {command} " in done.out
    assert done.err == ""


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("frob",),
        ("build", "x.js"),
        ("audit",),
        ("--frob",),
        ("run",),
        ("run", "--"),
        ("run", "--frob", "x.wasm"),
        ("run", "--inv", "f", "x.wasm"),
        ("run", "--timeout", "0", "x.wasm"),
        ("run", "--timeout", "nan", "x.wasm"),
        ("run", "--timeout", "x", "x.wasm"),
        ("run", "--max-memory", "12q", "x.wasm"),
        ("run", "--max-memory", "-1", "x.wasm"),
        ("run", "--max-memory", "m", "x.wasm"),
        ("run", "--max-memory", "5g", "x.wat"),
        ("run", "--env", "K", "x.wasm"),
        ("run", "--env", "=V", "x.wasm"),
        ("run", "--dir", "::/", "x.wasm"),
        ("run", "--dir", "x::", "x.wasm"),
        ("run", "--json", "x.wasm"),
        ("dump", "x.wasm"),
        ("dump", "x.wasm", "--stage", "frob"),
        ("dump", "--stage", "wat"),
        ("dump", "x.wasm", "--stage", "wat", "--function", "f"),
        ("validate",),
        ("validate", "a", "b"),
        ("validate", "x", "--color", "blue"),
        ("explain", "V999"),
        ("explain", "../V012"),
    ],
)
def test_bad_usage_is_status_2(cli: Cli, args: tuple[str, ...]) -> None:
    done = cli(*args)

    assert done.status == 2
    assert done.out == ""
    assert "interlock" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", [("run",), ("dump", "--stage", "wat"), ("validate",)])
@pytest.mark.parametrize("name", ["missing.wasm", "directory"])
def test_file_that_cannot_be_read_is_named(
    cli: Cli, tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    (tmp_path / "directory").mkdir()

    done = cli(*command, name)

    reason = "Is a directory" if name == "directory" else "No such file or directory"
    assert (done.status, done.out, done.err) == (2, "", f"interlock: {name}: {reason}\n")


@pytest.mark.parametrize(("name", "language"), [("a.js", "JavaScript"), ("a.py", "typed Python")])
@pytest.mark.parametrize("command", [("run",), ("dump", "--stage", "asm"), ("validate",)])
def test_language_of_a_later_version_says_so(
    cli: Cli, name: str, language: str, command: tuple[str, ...]
) -> None:
    cli.write(name, "(")

    done = cli(*command, name)

    assert done.status == 1
    assert done.err.startswith(f"interlock: not supported: {language}")


@pytest.mark.parametrize("command", [("run",), ("dump", "--stage", "wat"), ("validate",)])
def test_file_of_another_kind_is_not_webassembly(cli: Cli, command: tuple[str, ...]) -> None:
    cli.write("picture.png", b"\x89PNG\r\n")

    done = cli(*command, "picture.png")

    assert done.status == 2
    assert "picture.png is not WebAssembly" in done.err


def test_machine_code_is_not_run(cli: Cli) -> None:
    cli.write("a.o", b"\x7fELF")

    done = cli("run", "a.o")

    assert done.status == 2
    assert "interlock validate" in done.err


# ---- explain ---------------------------------------------------------------------------------------------------------


def test_explain_prints_the_rules_page(cli: Cli, repository: Path) -> None:
    done = cli("explain", "v012")

    page = (repository / "docs/reference/rules/V012.md").read_text(encoding="utf-8")
    assert (done.status, done.out, done.err) == (0, page.rstrip("\n") + "\n", "")


def test_explain_lists_every_rule(cli: Cli, repository: Path) -> None:
    done = cli("explain")

    pages = sorted(page.stem for page in (repository / "docs/reference/rules").glob("V*.md"))
    listed = [line.split()[0].rstrip(":") for line in done.out.splitlines()]
    assert listed == pages + [rule.id for rule in interlock.contract.rules()]


def test_explain_prints_a_rule_of_apples_contract(cli: Cli) -> None:
    done = cli("explain", "c8")

    rule = interlock.contract.rule("C8")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"# C8: {rule.statement}\n")
    for wanted in (
        "Apple silicon, with jit-write-allowlist",
        'kill SIGTRAP "BUG IN CLIENT OF LIBPTHREAD: pthread_jit_write_with_callback_np() callback not in allowlist"',
        "SRC libpthread",
        "DOC SRC TEST INF",
        rule.example,
    ):
        assert wanted in done.out


def test_explain_gives_facts_to_programs(cli: Cli) -> None:
    contract_rule = json.loads(cli("explain", "--json", "P1").out)
    validator_rule = json.loads(cli("explain", "--json", "V012").out)

    assert contract_rule["effects"][0]["name"] == "EACCES"
    assert contract_rule["status"] == ["SRC", "OBS", "INF"]
    for facts in (contract_rule, validator_rule):
        assert {"rule", "title", "text"} <= facts.keys()


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("C99", "C25, C24, C23"), ("v13x", ""), ("F6", "F5, F4, F3"), ("V999", "V050"), ("A07", "A7")],
)
def test_explain_names_what_is_near_an_unknown_rule(cli: Cli, wanted: str, near: str) -> None:
    done = cli("explain", wanted)

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"interlock: there is no rule {wanted!r}")
    assert near in done.err
    assert "Traceback" not in done.err


# ---- Byte-code -------------------------------------------------------------------------------------------------------


def test_valid_module_is_valid(cli: Cli) -> None:
    cli.write("a.wat", "(module (func))")
    cli.write("a.wasm", b"\0asm\1\0\0\0")

    assert cli("validate", "a.wat").out == "a.wat: valid\n"
    assert cli("validate", "a.wasm").out == "a.wasm: valid\n"
    assert cli("validate", "-q", "a.wasm").out == ""
    assert cli("validate", "--json", "a.wasm").out == (
        '{"file": "a.wasm", "kind": "wasm", "accepted": true, "error": null}\n'
    )


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.wat", "(module\n  (func (result i32)))", "a.wat:2:"),
        ("b.wat", "(module (func (frob)))", "b.wat:1:"),
        ("c.wasm", b"\0asm\2\0\0\0", "c.wasm+0x4: "),
        ("d.wasm", b"\0asm", "d.wasm"),
        ("e.wasm", b"", "e.wasm"),
        ("f.wat", b"(module \xff)", "f.wat+0x8: "),
    ],
)
def test_invalid_module_is_located(cli: Cli, name: str, content: str | bytes, place: str) -> None:
    cli.write(name, content)

    done = cli("validate", name)

    assert done.status == 1
    assert done.out.startswith(place)
    assert done.out.count("\n") == 1
    assert done.err == ""


def test_colour_only_where_it_is_wanted(cli: Cli) -> None:
    cli.write("a.wat", "(module)")

    plain = cli("validate", "a.wat").out
    painted = cli("validate", "--color", "always", "a.wat").out

    assert "\x1b" not in plain
    assert "\x1b[32mvalid\x1b[0m" in painted
    assert cli("validate", "--color", "never", "a.wat").out == plain


def test_result_that_nobody_can_get_is_no_success(cli: Cli) -> None:
    cli.write("a.wat", "(module)")
    command = " ".join(cli.command("validate", "a.wat"))
    shell = ["sh", "-c", f"{command} >&-"]

    done = subprocess.run(shell, cwd=cli.directory, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "interlock: stdout: Bad file descriptor\n"


def test_reader_that_went_away_is_no_failure_of_ours(cli: Cli) -> None:
    command = " ".join(cli.command("explain", "V012"))
    script = f"{command} | true; exit 0"

    done = subprocess.run(
        ["sh", "-c", script], cwd=cli.directory, stderr=subprocess.PIPE, text=True, check=False
    )

    assert done.stderr == ""
