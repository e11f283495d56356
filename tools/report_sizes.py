"""Reports files, functions and commands above the sizes that style.md aims at.  Fails only when the core is over budget.

The core's budget counts every line, for each target on its own (docs/decisions/0015).

python tools/report_sizes.py
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE_LINES_MAX = 4000
_PARTS = re.compile(r"x86_64|aarch64|linux|macos")
TARGETS = [(arch, system) for system in ("linux", "macos") for arch in ("x86_64", "aarch64")]
FILE_LINES_AIM = 600
FUNCTION_LINES_AIM = 70
COMMAND_LINES_AIM = 120


def core_files() -> list[Path]:
    """The hand-written files of the core: sources, headers and tables."""
    core = ROOT / "core"
    files = [path for folder in ("src", "include", "tables") for path in (core / folder).rglob("*")]
    return sorted(path for path in files if path.suffix in {".c", ".h", ".def", ".S"})


def count_lines(path: Path) -> int:
    """Lines of a text file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def _is_of(path: Path, arch: str, system: str) -> bool:
    """Whether a target has to believe a file: none that is another system's or architecture's, by its name and folder.

    The other architecture's validator is compiled too, but gives an opinion only: the writer takes no such images.
    """
    others = {"x86_64", "aarch64", "linux", "macos"} - {arch, system}
    return not any(other in (path.parent.name, *_PARTS.findall(path.stem)) for other in others)


def core_lines(arch: str, system: str) -> int:
    """Hand-written lines, comments included, of the core as one target has it: what must be believed on a machine."""
    return sum(count_lines(path) for path in core_files() if _is_of(path, arch, system))


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
    totals = {(arch, system): core_lines(arch, system) for arch, system in TARGETS}
    for (arch, system), lines in totals.items():
        print(f"core of {arch}-{system}: {lines} of {CORE_LINES_MAX} hand-written lines")
    print(f"all targets together: {sum(count_lines(path) for path in core_files())}")
    return int(max(totals.values()) > CORE_LINES_MAX)


if __name__ == "__main__":
    sys.exit(main())
