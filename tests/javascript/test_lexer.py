"""The lexer on text: cases with `====` between them, source, `----`, tokens with their values or the whole error.

A `/` begins a regular expression in these cases unless a name, a number or a closing bracket stands before it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from interlock import limits
from interlock.errors import JsSyntaxError, LimitExceededError
from interlock.javascript.lexer import Lexer

PATH = Path(__file__).parent / "tokens.txt"
CASES = PATH.read_text("utf-8").split("====\n")


def _tokens(source: str, *, is_module: bool = False) -> list[str]:
    lexer = Lexer(source, "case.js", is_module=is_module)
    shown: list[str] = []
    is_operand_before = False
    while True:
        lexer.next()
        shape = lexer.kind
        if shape in {"/", "/="} and not is_operand_before:
            shape = "regex " + " ".join(lexer.rescan_regex())
        elif shape == "template":
            cooked, raw, is_last, lexer.end = lexer.template_part(lexer.end, is_tagged=True)
            shape = f"template {cooked!r} {raw!r} {'last' if is_last else 'more'}"
        elif shape in {"name", "private", "num", "str"}:
            shape = f"{shape} {lexer.value!r}"
        notes = " escaped" * lexer.is_escaped + " octal" * (lexer.octal_at >= 0)
        shown.append("| " * lexer.has_line_before + shape + notes)
        is_operand_before = lexer.kind in {"name", "num", ")", "]"}
        if lexer.kind == "eof":
            return shown


@pytest.mark.parametrize("case", CASES, ids=[str(n) for n in range(1, len(CASES) + 1)])
def test_tokens(case: str) -> None:
    source, expected = case.split("\n----\n")
    try:
        found = "\n".join(_tokens(source))
    except JsSyntaxError as error:
        found = str(error)
    assert found == expected.rstrip("\n")


def test_messages_are_those_of_node() -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node")
    errors = [case.split("\n----\n") for case in CASES if "\nSyntaxError: " in case]
    script = (
        "const vm = require('vm');"
        "const message = (s) => { try { new vm.Script(s); } catch (e) { return e.message; } };"
        "console.log(JSON.stringify(JSON.parse(process.argv[1]).map(message)))"
    )
    sources = json.dumps([source for source, _ in errors])

    done = subprocess.run(["node", "-e", script, sources], capture_output=True, check=True)

    ours = [expected.rstrip("\n").rpartition("\nSyntaxError: ")[2] for _, expected in errors]
    assert len(ours) > 15
    assert json.loads(done.stdout) == ours


def test_html_comments_are_no_comments_in_modules() -> None:
    assert _tokens("a\n--> b") == ["name 'a'", "| eof"]
    assert _tokens("a\n--> b", is_module=True) == ["name 'a'", "| --", ">", "name 'b'", "eof"]
    assert _tokens("<!-- b", is_module=True) == ["<", "!", "--", "name 'b'", "eof"]


@pytest.mark.parametrize("space", "\t\v\f \xa0\ufeff\u1680\u2003\u202f\u205f\u3000")
def test_spaces(space: str) -> None:
    assert _tokens(f"return{space}x") == ["return", "name 'x'", "eof"]


@pytest.mark.parametrize("line", ["\n", "\r", "\r\n", "\u2028", "\u2029"])
def test_line_terminators(line: str) -> None:
    assert _tokens(f"a//b{line}c/*{line}*/d") == ["name 'a'", "| name 'c'", "| name 'd'", "eof"]


def test_line_separators_may_stand_in_strings() -> None:
    assert _tokens("'\u2028\u2029'") == ["str '\\u2028\\u2029'", "eof"]


def test_a_large_source_is_read_in_one_pass() -> None:
    # What could be looked at again and again: minus signs, stars, and an end that never comes.
    assert len(_tokens("x-->0;" * 50_000)) == 5 * 50_000 + 1
    with pytest.raises(JsSyntaxError, match="Invalid or unexpected token"):
        _tokens("/*" + "*a" * 200_000)


@pytest.mark.parametrize(
    "digits", ["0x1" + "0" * 300, "0x" + "f" * 256, "0" + "7" * 400, "9" * 400]
)
def test_numbers_past_the_largest_are_infinite(digits: str) -> None:
    assert _tokens(digits)[0].startswith("num inf")


def test_long_bigints() -> None:
    digits = "123456789" * 1000
    lexer = Lexer(digits + "n", "case.js", is_module=False)
    lexer.next()
    value = lexer.value
    assert isinstance(value, int)
    assert value % 10**18 == 123456789123456789
    assert value // 10 ** (len(digits) - 9) == 123456789

    at_limit = "1" * limits.JS_BIGINT_DIGITS_MAX
    assert Lexer(at_limit + "n", "case.js", is_module=False).next() is None
    with pytest.raises(LimitExceededError, match="100001 passes the limit JS_BIGINT_DIGITS_MAX"):
        Lexer(at_limit + "1n", "case.js", is_module=False).next()


@pytest.mark.parametrize("form", ["'{}'", "/{}/", "`{}`", "/*{}*/", "{}"])
def test_tokens_of_a_million_characters(form: str) -> None:
    assert _tokens(form.format("\\u0061" * 200_000))[-1] == "eof"
