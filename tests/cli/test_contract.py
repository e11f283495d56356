"""`interlock contract import` as a user runs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interlock.contract import observations
from tests.unit.contract.test_observations import (
    AGREES,
    DIFFERS,
    UNKNOWN,
    lines,
    text,
    with_switch,
)

if TYPE_CHECKING:
    from .conftest import Cli


def test_result_that_agrees_is_kept(cli: Cli) -> None:
    cli.write("result.jsonl", text(with_switch(lines(AGREES, UNKNOWN), "jit-regions", "many")))

    done = cli("contract", "import", "result.jsonl", "--into", "kept.jsonl")

    assert done.status == 0
    assert done.out.splitlines()[:3] == [
        "macOS 26.1 (25B78), Apple M4, arm64, 2026-12-01",
        "agrees: 2 rules: T1 X1",
        "differs: 0 rules: none",
    ]
    assert "jit-regions: many\n" in done.out
    assert done.err.startswith("kept in kept.jsonl; now ")
    (kept,) = observations.parse((cli.directory / "kept.jsonl").read_text("utf-8"))
    assert kept.switches["jit-regions"].values == ("many",)


def test_result_that_differs_is_shown_and_not_kept(cli: Cli) -> None:
    cli.write("result.jsonl", text(lines(AGREES, DIFFERS)))

    done = cli("contract", "import", "result.jsonl", "--into", "kept.jsonl")

    assert done.status == 1
    assert "DIFFERS P8 b (macos-arm64): main kernel-write" in done.out
    assert done.err.startswith("not kept: ")
    assert not (cli.directory / "kept.jsonl").exists()


def test_result_that_differs_is_kept_when_asked(cli: Cli) -> None:
    cli.write("result.jsonl", text(lines(AGREES, DIFFERS)))

    done = cli("contract", "import", "result.jsonl", "--into", "kept.jsonl", "--with-differences")

    assert done.status == 1
    assert "DIFFERS P8" in done.out
    (kept,) = observations.parse((cli.directory / "kept.jsonl").read_text("utf-8"))
    assert kept.differences


def test_result_as_an_object(cli: Cli) -> None:
    cli.write("result.jsonl", text(lines(AGREES, DIFFERS)))

    done = cli("contract", "import", "result.jsonl", "--into", "kept.jsonl", "--json", "-q")

    assert (done.status, done.err) == (1, "")
    found = json.loads(done.out)
    assert found["agrees"] == ["T1", "X1"]
    assert found["differs"] == ["P8"]
    assert found["kept"] is False
    assert len(found["disagreements"]) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "0 results where one is expected"),
        ('{"probe": 1}\n', "result.jsonl:1:1: macos is no text"),
    ],
)
def test_damaged_result_is_one_line_of_error(cli: Cli, content: str, message: str) -> None:
    cli.write("result.jsonl", content)

    done = cli("contract", "import", "result.jsonl", "--into", "kept.jsonl")

    assert done.status == 1
    assert message in done.err
    assert "Traceback" not in done.err


def test_missing_result_is_said(cli: Cli) -> None:
    done = cli("contract", "import", "nowhere.jsonl")

    assert done.status != 0
    assert "nowhere.jsonl" in done.err
    assert "Traceback" not in done.err
