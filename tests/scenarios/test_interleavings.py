"""Every step from every state that two threads reach in five steps each: the implementations against a second reading of the rules."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from interlock.contract import ModelMachine
from tests.scenarios.interleavings import (
    SETTINGS,
    Setting,
    disagreement,
    followed,
    graph,
    merges,
    outcomes,
    walks,
)
from tools.explore_interleavings import MACHINES, explore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.contract import Machine
    from tests.scenarios.interleavings import Move, Node, Walk

SAMPLE = 80  # one in so many for implementations which take milliseconds
RUNS = {"", *(f"{may}ok {value}" for may in ("", "may ") for value in (1, 2, 3))}
BY_NAME = {each.name: each for each in SETTINGS}


@cache
def _graph(setting_name: str) -> dict[Node, dict[Move, tuple[Node | None, str]]]:
    return graph(BY_NAME[setting_name].start)


@pytest.fixture(params=SETTINGS, ids=lambda each: str(each.name))
def setting(request: pytest.FixtureRequest) -> Setting:
    found = request.param
    assert isinstance(found, Setting)
    return found


@cache
def _walks(setting_name: str) -> list[tuple[Walk, tuple[str, ...]]]:
    return list(walks(BY_NAME[setting_name].start))


def test_model_agrees_on_every_step_from_every_state(setting: Setting) -> None:
    machine = ModelMachine()

    for walk, expected in _walks(setting.name):
        assert disagreement(setting, walk, expected, machine) == ""

    assert len(_walks(setting.name)) > 1000


def test_model_agrees_on_every_interleaving_of_typical_programs(setting: Setting) -> None:
    machine = ModelMachine()
    count = 0

    for walk, expected in merges(setting):
        assert disagreement(setting, walk, expected, machine) == ""
        count += 1

    assert count >= 1000


@pytest.fixture(scope="module", params=["library", "mac"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The C library in processes of the scenario driver; the modelled Mac."""
    if request.param == "mac":
        pytest.importorskip("unicorn", reason="needs unicorn, the extra mac")
    elif sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("needs Linux and gcc")
    with MACHINES[request.param]() as made:
        yield made


def test_other_implementations_agree_on_a_sample(setting: Setting, machine: Machine) -> None:
    """All of it: `python tools/explore_interleavings.py`."""
    tally = explore(setting, machine, every=SAMPLE)

    assert tally.disagreements == []
    # The modelled Mac has no Intel processor; in the library other threads wait while one writes.
    assert tally.replayed > 20 or (setting.name == "x86_64" and tally.refused > 20)


def test_walks_take_every_step_from_every_state(setting: Setting) -> None:
    wanted = {(node[0], move) for node, moves in _graph(setting.name).items() for move in moves}
    taken = set()

    for walk, said in _walks(setting.name):
        assert said == outcomes(setting.start, walk)
        assert max(sum(index == each for index, _ in walk) for each in (0, 1)) <= 5
        taken |= {(state, move) for state, move, _ in followed(setting.start, walk)}

    assert taken == wanted


# ---- What must hold whatever the rules: of the outcomes alone, so of every implementation that agrees --------------------------


def _outcomes(setting: Setting, node: Node, action: str) -> list[str]:
    moves = _graph(setting.name)[node]
    return [moves[index, action][1] for index in (0, 1) if (index, action) in moves]


def _says(setting: Setting, node: Node, move: Move) -> str:
    found = _graph(setting.name)[node].get(move)
    return "" if found is None else found[1]


def test_no_thread_both_writes_and_runs(setting: Setting) -> None:
    for node in _graph(setting.name):
        for index in (0, 1):
            write, execute = (_says(setting, node, (index, each)) for each in ("write", "execute"))
            if write and execute:
                both = write == "ok" and "ok" in execute
                assert both != setting.start.is_native, node


def test_what_one_thread_does_leaves_the_others_rights_alone(setting: Setting) -> None:
    nodes = _graph(setting.name)
    for node, moves in nodes.items():
        for (index, _), (target, _) in moves.items():
            other = 1 - index
            if target is not None and (other, "write") in nodes[target]:
                before, after = (_says(setting, each, (other, "write")) for each in (node, target))
                assert before == after, (node, index)


@pytest.mark.parametrize("name", ["toggling", "listed", "late"])
def test_after_a_callback_its_thread_runs_and_does_not_write(name: str) -> None:
    setting, nodes = BY_NAME[name], _graph(name)
    for moves in nodes.values():
        for (index, action), (target, _) in moves.items():
            if action == "return" and target is not None:
                assert _says(setting, target, (index, "write")) in {"", "signal SIGBUS"}
                assert _says(setting, target, (index, "execute")) in RUNS


@pytest.mark.parametrize("name", ["listed", "late"])
def test_frozen_list_neither_grows_nor_shrinks(name: str) -> None:
    setting = BY_NAME[name]
    for node, moves in _graph(name).items():
        if node[0].mode != "frozen":
            continue
        for target, _ in moves.values():
            for call in ("call", "call unlisted", "call late"):
                said = set(_outcomes(setting, node, call))
                later = set() if target is None else set(_outcomes(setting, target, call))
                assert not said or not later or said == later, (node, call)


def test_nothing_is_written_before_the_freeze() -> None:
    late = BY_NAME["late"]
    for node in _graph("late"):
        if node[0].mode == "open":
            assert set(_outcomes(late, node, "write")) <= {"signal SIGBUS"}
            assert set(_outcomes(late, node, "call")) <= {"kill F1"}


def test_only_a_write_and_an_invalidation_change_what_runs(setting: Setting) -> None:
    nodes = _graph(setting.name)
    for node, moves in nodes.items():
        for (_, action), (target, _) in moves.items():
            if target is None or action in {"write", "invalidate"}:
                continue
            ran, runs = (
                {each for each in _outcomes(setting, at, "execute") if "ok" in each}
                for at in (node, target)
            )
            assert not ran or not runs or ran == runs, (node, action)
