"""Runs benchmarks and prints Markdown: `python -m benchmarks [NAME...] [--out FILE]`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import call, measure, programs, publish, python_functions, startup, validator

BENCHMARKS = {
    "call": call.run,
    "programs": programs.run,
    "startup": startup.run,
    "publish": publish.run,
    "validator": validator.run,
    "python": python_functions.run,
}


def machine() -> str:
    """What the numbers were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def markdown(table: measure.Table) -> str:
    """One result as a Markdown table."""
    lines = [f"### {table.title}", "", "| what | median | ratio |", "| --- | ---: | ---: |"]
    lines += [
        f"| {r.what} | {measure.show_ns(r.nanoseconds)} | {r.ratio:.2f} |" for r in table.rows
    ]
    lines += ["", *(f"{remark}\n" for remark in table.remarks)]
    return "\n".join(lines)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--out", type=Path, help="write the Markdown there too")
    args = parser.parse_args()
    unknown = set(args.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    text = (
        "# Results\n\nEach table is one run on one machine; its ratios compare rows of that run.\n"
        "Contestants take turns; the first rounds are not counted; medians.\n"
        f"Made by `python -m benchmarks` on: {machine()}.\n\n"
    )
    print(text)
    with tempfile.TemporaryDirectory() as work:
        for name in args.names or BENCHMARKS:
            for table in BENCHMARKS[name](Path(work)):
                print(markdown(table))
                text += markdown(table) + "\n"
    if args.out:
        args.out.write_text(text.rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
