"""Weakens the code validators by one step at a time and demands that a test fails each time.

python tools/mutate_validator.py [--sample N] [--only TEXT] [--resume FILE]

Mutants (tools/validator_mutants.py): every check in core/src/validate*.c left out, every bound off by one, every part of a
condition dropped; every line of core/tables/*.instrs weakened in each column.  For each, a copy of core/ is built by gcc -O0
in a process forked from one pytest session, which has collected the tests and run them once, and the tests run there until
one fails.  Survivors are printed; the exit status is then 1.  tools/validator_equivalents.txt lists mutants that change
nothing, each with its reason.  FILE remembers the mutants that need not be tried again, when a run is stopped.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import itertools
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core"
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import validator_mutants  # noqa: E402 - found by the line above

if TYPE_CHECKING:
    from collections.abc import Iterator

    from validator_mutants import Mutant

EQUIVALENTS = ROOT / "tools" / "validator_equivalents.txt"
GENERATORS = {"x86_64.instrs": "generate_tables", "aarch64.instrs": "generate_aarch64_table"}
# This tool's own test would run itself.
TESTS = ["tests/core/validator"]
TESTS += ["--ignore=tests/core/validator/test_mutation.py"]
OPTIONS = ["-q", "-s", "--assert=plain", "--tb=no", "-p", "no:cacheprovider", "-p", "no:randomly"]
OPTIONS += ["-p", "no:xdist", "-p", "no:faulthandler"]
# An index past an array ends the process.
BOUNDS = "-fsanitize=bounds -fsanitize-undefined-trap-on-error"
OPTIONS += [f"--core-cc=gcc -O0 -w {BOUNDS}"]
LIBRARIES = ["validator", "decoders", "comparison"]  # fixtures that compile, the quick ones first
TEST_SECONDS_MAX = 60
# Exit statuses of a process that tries a mutant.  A signal that it raises itself is a crash, so the mutant is killed too.
KILLED, SURVIVED, SAME, BROKEN = 0, 1, 2, 3
CRASHES = {-each for each in (signal.SIGXCPU, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE)}
CRASHES |= {-each for each in (signal.SIGABRT, signal.SIGILL, signal.SIGTRAP)}


def all_mutants() -> Iterator[Mutant]:
    """In the order of the files."""
    for path in sorted((CORE / "src").glob("validate*.c")):
        yield from validator_mutants.c_mutants(CORE, path.name)
    for path in sorted((CORE / "tables").glob("*.instrs")):
        yield from validator_mutants.table_mutants(CORE, path.name)


def equivalents() -> dict[str, str]:
    """Key of each listed mutant, and why it changes nothing."""
    lines = [line for line in EQUIVALENTS.read_text("ascii").splitlines() if line]
    listed: dict[str, str] = {}
    reason = ""
    for line in lines:
        if line.startswith("#"):
            reason = line.removeprefix("#").strip()
        else:
            listed[line] = reason
    return listed


def header_of(table: str, text: str) -> str:
    """The C header that the table's generator makes of this text."""
    module = importlib.import_module(GENERATORS[table])
    lines = module.parse(text)
    return str(module.render(module.spread(lines) if hasattr(module, "spread") else lines))


class MutationRun:
    """A pytest plugin: the session's loop runs all tests once, then some of them for each mutant."""

    def __init__(self, mutants: list[Mutant], jobs: int, work: Path, done: TextIO) -> None:
        self.mutants, self.jobs, self.work, self.done = mutants, jobs, work, done
        self.survivors: list[Mutant] = []
        self.broken: list[Mutant] = []
        self.same = self.endless = 0
        self.baseline_failed = False

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Those first that need no compiler, then the short ones."""
        items.sort(key=lambda item: [name in item.fixturenames for name in reversed(LIBRARIES)])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Baseline, then the mutants in forked processes."""
        self._run_items(session, session.items, stop_early=False)
        self.baseline_failed = session.testsfailed > 0
        if self.baseline_failed:
            return True
        gc.freeze()  # else the first collection of a child copies all of the session's memory
        running: dict[int, Mutant] = {}
        for mutant in self.mutants:
            verdict = _verdict_of_line(mutant)
            if verdict is not None:
                self._note(mutant, verdict)
                continue
            while len(running) >= self.jobs:
                self._wait(running)
            pid = os.fork()
            if pid == 0:
                self._try(session, mutant)
            running[pid] = mutant
        while running:
            self._wait(running)
        return True

    def _wait(self, running: dict[int, Mutant]) -> None:
        pid, status = os.wait()
        mutant = running.pop(pid)
        shutil.rmtree(self.work / str(pid), ignore_errors=True)
        self._note(mutant, os.waitstatus_to_exitcode(status))

    def _note(self, mutant: Mutant, code: int) -> None:
        self.same += code == SAME
        self.endless += code == -signal.SIGXCPU
        if code == SURVIVED:
            self.survivors.append(mutant)
            print(f"survived: core/{mutant.place}", flush=True)
        elif code in {KILLED, SAME} | CRASHES:
            print(mutant.place, file=self.done, flush=True)
        else:
            self.broken.append(mutant)
            print(f"not tried, status {code}: core/{mutant.place}", flush=True)

    def _try(self, session: pytest.Session, mutant: Mutant) -> None:
        """In the child: never returns."""
        code = BROKEN
        try:
            # A mutant that does not end is killed, in both senses: by its own time, for the machine may be busy.
            resource.setrlimit(resource.RLIMIT_CPU, (TEST_SECONDS_MAX, TEST_SECONDS_MAX + 1))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            folder = self.work / str(os.getpid())
            if self._write(folder, mutant):
                session.config.option.core = str(folder)
                session.config._tmp_path_factory._basetemp = folder  # noqa: SLF001 - removed with it
                items = [item for item in session.items if _may_notice(item, mutant)]
                if mutant.path.endswith("aarch64.instrs"):  # the comparison notices most of them
                    items.sort(key=lambda item: "validator" in item.fixturenames)
                code = KILLED if self._run_items(session, items, stop_early=True) else SURVIVED
            else:
                code = SAME
        except ValueError:  # the generator's refusal of the table
            code = KILLED
        finally:
            os._exit(code)

    def _write(self, folder: Path, mutant: Mutant) -> bool:
        """core/ with links to all files but the changed ones; False when the validator does not change at all."""
        changed = {mutant.path: mutant.text}
        name = Path(mutant.path).name
        if name in GENERATORS:
            header = f"generated/{name.removesuffix('.instrs')}.h"
            changed[header] = header_of(name, mutant.text)
            if changed[header] == (CORE / header).read_text("ascii"):
                return False
        for source in itertools.chain.from_iterable(
            (CORE / part).rglob("*") for part in ("generated", "include", "src", "tables", "tests")
        ):
            if source.is_file():
                target = folder / source.relative_to(CORE)
                target.parent.mkdir(parents=True, exist_ok=True)
                text = changed.get(str(source.relative_to(CORE)))
                if text is None:
                    target.symlink_to(source)
                else:
                    target.write_text(text, encoding="ascii")
        return True

    @staticmethod
    def _run_items(session: pytest.Session, items: list[Any], *, stop_early: bool) -> bool:
        """Whether one failed."""
        for item, following in itertools.zip_longest(items, items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if stop_early and session.testsfailed:
                return True
        return session.testsfailed > 0


def _verdict_of_line(mutant: Mutant) -> int | None:
    """Of a line of x86-64's table that makes the same rows, or that fails by itself in the tests which go over the lines."""
    if not mutant.path.endswith("x86_64.instrs") or mutant.change == "line deleted":
        return None
    generator = importlib.import_module(GENERATORS["x86_64.instrs"])
    tests = importlib.import_module("tests.core.validator.test_table")
    lines = generator.parse(mutant.text.split("\n")[mutant.line - 1])
    if generator.spread(lines) == generator.spread(generator.parse(mutant.before)):
        return SAME
    try:
        tests.test_lines_agree_with_iced(generator, lines)
        tests.test_each_form_that_a_line_lists_is_an_instruction_of_its_own(lines)
    except AssertionError:
        return KILLED
    return None


def _may_notice(item: Any, mutant: Mutant) -> bool:
    """Only those of the architecture that read more of core/ than the header made for them; for C those that load a validator."""
    is_aarch64 = "aarch64" in item.nodeid
    is_of_one = "aarch64" in mutant.path or "x86_64" in mutant.path
    if is_of_one and is_aarch64 != ("aarch64" in mutant.path):
        return False
    if item.name == "test_committed_header_is_what_the_generator_makes":
        return False
    needed = LIBRARIES if mutant.path.startswith("src/") else ["core"]
    return not set(needed).isdisjoint(item.fixturenames)


def main() -> int:
    """Try the mutants that the command line chooses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, metavar="N", help="so many, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="of the choice")
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose name contains it")
    parser.add_argument(
        "--resume", type=Path, default=os.devnull, metavar="FILE", help="made if need be"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true", help="print the mutants and end")
    args = parser.parse_args()
    started = time.monotonic()
    listed = equivalents()
    found = list(all_mutants())
    stale = set(listed) - {mutant.key for mutant in found}
    if stale:
        print("listed as equivalent, but no mutant:", *sorted(stale), sep="\n  ")
        return 1
    mutants = [each for each in found if each.key not in listed and args.only in each.key]
    args.resume = args.resume.resolve()
    args.resume.touch()
    done = set(args.resume.read_text("ascii").splitlines())
    mutants = [each for each in mutants if each.place not in done]
    if args.sample is not None:
        mutants = random.Random(args.seed).sample(mutants, min(args.sample, len(mutants)))  # noqa: S311
    if args.list:
        print(*(mutant.place for mutant in mutants), sep="\n")
        return 0
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as work, args.resume.open("a", encoding="ascii") as log:
        run = MutationRun(mutants, args.jobs, Path(work), log)
        pytest.main([*TESTS, *OPTIONS], plugins=[run])
    if run.baseline_failed:
        print("the tests fail without any mutation")
        return 2
    files = Counter(mutant.path for mutant in mutants)
    print(f"\n{len(mutants)} mutants: " + ", ".join(f"{n} of {name}" for name, n in files.items()))
    print(
        f"{len(mutants) - run.same - len(run.survivors) - len(run.broken)} killed, {len(run.survivors)} survived, "
        f"{len(run.broken)} not tried, "
        f"{run.endless} of the killed did not end, {run.same} leave the validator's data as it is, {len(listed)} listed as equivalent, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if run.survivors or run.broken else 0


if __name__ == "__main__":
    sys.exit(main())
