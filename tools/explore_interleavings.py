"""Replays the interleavings of two threads with five steps each on implementations of the contract, against a second reading.

python tools/explore_interleavings.py [--machine NAME]... [--every N]

First walks that together take every step from every state, then the interleavings of programs as ports write them
(tests/scenarios/interleavings.py).  `--every N` replays one in N.  Prints what was replayed and refused, and each disagreement.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))  # the second reading lies beside the scenarios

from apple.probe import build, drop_in
from apple.probe.machine import DriverMachine
from interlock.contract import ModelMachine
from tests.scenarios import interleavings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from interlock.contract import Machine
    from tests.scenarios.interleavings import Setting

_SHOWN_MAX: Final = 20


@contextmanager
def _model() -> Iterator[Machine]:
    yield ModelMachine()


@contextmanager
def _library() -> Iterator[Machine]:
    """libinterlock_apple, in processes of the scenario driver."""
    with tempfile.TemporaryDirectory(prefix="interlock-") as folder:
        toolchain = build.linux(Path(folder, "apple"), shutil.which("gcc"))
        builder = build.Builder(Path(folder), toolchain)
        with DriverMachine(
            builder, environment=drop_in.environment, refuse=drop_in.refusal
        ) as machine:
            yield machine


@contextmanager
def _mac() -> Iterator[Machine]:
    from interlock.mac import MacMachine

    yield MacMachine()


MACHINES: Final[dict[str, Callable[[], AbstractContextManager[Machine]]]] = {
    "model": _model,
    "library": _library,
    "mac": _mac,
}


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the walks of a setting."""

    replayed: int = 0
    refused: int = 0
    disagreements: list[str] = field(default_factory=list)


def explore(setting: Setting, machine: Machine, *, every: int = 1) -> Tally:
    """Replay one in `every` walks and interleavings of a setting."""
    tally = Tally()
    found = itertools.chain(interleavings.walks(setting.start), interleavings.merges(setting))
    for walk, expected in itertools.islice(found, 0, None, every):
        text = interleavings.disagreement(setting, walk, expected, machine)
        if text is None:
            tally.refused += 1
            continue
        tally.replayed += 1
        if text:
            tally.disagreements.append(text)
    return tally


def main() -> int:
    """Explore; 1 if anything disagrees."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--machine", action="append", choices=MACHINES, help="default: all")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    args = parser.parse_args()
    disagreements = 0
    for name in args.machine or MACHINES:
        with MACHINES[name]() as machine:
            for setting in interleavings.SETTINGS:
                tally = explore(setting, machine, every=args.every)
                disagreements += len(tally.disagreements)
                print(
                    f"{name} {setting.name}: {tally.replayed} replayed, {tally.refused} refused, "
                    f"{len(tally.disagreements)} disagree",
                    *tally.disagreements[:_SHOWN_MAX],
                    sep="\n  ",
                    flush=True,
                )
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
