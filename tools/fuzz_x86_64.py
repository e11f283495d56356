"""Compares the x86-64 code validator with iced-x86 and capstone on many encodings.

python tools/fuzz_x86_64.py --cases 10000000

Cases: each line of core/tables/x86_64.instrs with random fields, mutants of what was accepted, random bytes behind escapes,
rows behind foreign prefixes.  Compared for whatever the validator accepts: length, general registers written, class,
harmlessness (tests/core/validator/differential.py).  Exit status 1 on any disagreement, or when a line of the table was
never accepted.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import generate_tables  # noqa: E402 - found by the line above

from tests.core.validator import differential  # noqa: E402 - likewise

SHOWN_MAX = 20


def _part(directory: str, cases: int, seed: int) -> tuple[differential.Tally, set[int]]:
    gcc = ["gcc"] if shutil.which("gcc") else [sys.executable, "-m", "ziglang", "cc"]
    with tempfile.TemporaryDirectory(dir=directory) as work:
        decoders = differential.build(Path(work), ROOT / "core", [*gcc, "-O2"])
    rows = generate_tables.parse((generate_tables.TABLES / "x86_64.instrs").read_text("ascii"))
    part = differential.Differential(decoders)
    unseen = differential.run(part, rows, cases=cases, seed=seed)
    return part.tally, {n for n in unseen if "indirect_jmp" not in rows[n].marks}


def main() -> int:
    """Run the parts and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(args.jobs) as pool:
        parts = [
            pool.submit(_part, directory, args.cases // args.jobs, args.seed * args.jobs + number)
            for number in range(args.jobs)
        ]
        results = [part.result() for part in parts]
    tallies = [tally for tally, _ in results]
    found = [each for tally in tallies for each in tally.disagreements]
    unseen = set.intersection(*(rows for _, rows in results))
    for each in found[:SHOWN_MAX]:
        print(f"{each.what}: [{each.encoding}] {each.text}: {each.ours} here, {each.theirs} there")
    if unseen:
        print(f"lines of the table never accepted: {sorted(unseen)}")
    print(
        f"{sum(tally.cases for tally in tallies)} cases, {sum(tally.accepted for tally in tallies)} accepted, "
        f"{len(set.union(*(tally.codes for tally in tallies)))} opcodes of iced, {len(found)} disagreements, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if found or unseen else 0


if __name__ == "__main__":
    sys.exit(main())
