"""Reports files, functions and commands above the sizes that style.md aims at.  Fails only when the core is over budget.

The core's budget counts lines of code: blank lines and lines of comment alone are free, so that nobody saves on explanations.

python tools/report_sizes.py
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE_LINES_MAX = 4000
FILE_LINES_AIM = 600
FUNCTION_LINES_AIM = 70
COMMAND_LINES_AIM = 120


def core_files() -> list[Path]:
    """The hand-written files of the core: sources, headers and tables, without what is generated or only tests."""
    core = ROOT / "core"
    files = [path for folder in ("src", "include") for path in (core / folder).rglob("*")]
    return sorted(
        path
        for path in files
        if path.suffix in {".c", ".h", ".def", ".S"} and "generated" not in path.parts
    )


def count_lines(path: Path) -> int:
    """Lines of a text file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def count_code_lines(path: Path) -> int:
    """Lines of a C, assembler or .def file that hold more than a comment."""
    text = path.read_text(encoding="utf-8")
    without = re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    return sum(1 for line in without.splitlines() if line.strip())


def core_lines() -> int:
    """Hand-written lines of code of the core, for all architectures and systems together."""
    return sum(count_code_lines(path) for path in core_files())


def long_functions(path: Path) -> list[str]:
    """Functions of a Python file that are longer than the aim."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {lines} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_AIM
    ]


def main() -> int:
    """Print the report."""
    for path in sorted((ROOT / "src").rglob("*.py")) + core_files():
        lines = count_lines(path)
        aim = COMMAND_LINES_AIM if "cli" in path.parts else FILE_LINES_AIM
        if lines > aim:
            print(f"{path.relative_to(ROOT)}: {lines} lines, aim {aim}")
        if path.suffix == ".py":
            print("\n".join(long_functions(path)), end="")
    total = core_lines()
    everything = sum(count_lines(path) for path in core_files())
    print(f"core: {total} of {CORE_LINES_MAX} lines of code; {everything} with comments and blanks")
    return int(total > CORE_LINES_MAX)


if __name__ == "__main__":
    sys.exit(main())
