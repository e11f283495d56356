"""Random programs of typed Python, compiled and interpreted: the same results or the same exceptions.

python tools/compare_typed_python.py --programs 50000 [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.typed_python import generator, programs


def main() -> None:
    """Compare, and say what the calls came to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    outcomes: Counter[str] = Counter()

    @hypothesis.seed(args.seed)
    @hypothesis.settings(
        max_examples=args.programs,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(generator.programs())
    def compare(program: tuple[str, list[tuple[Any, ...]]]) -> None:
        source, calls = program
        outcomes["programs"] += 1
        with programs.compiled(source) as function:
            for arguments in calls:
                found = programs.outcome_and_memory(function, function, arguments)
                wanted = programs.outcome_and_memory(function.python, function, arguments)
                if found != wanted:
                    message = f"{source}\nf{arguments}: compiled {found}, interpreted {wanted}"
                    raise AssertionError(message)
                (how, what), memory = found
                outcomes[how if how == "gives" else str(what)] += 1
                outcomes["calls with memory"] += bool(memory)

    compare()
    print(", ".join(f"{count} {what}" for what, count in outcomes.most_common()))


if __name__ == "__main__":
    main()
