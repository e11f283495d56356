"""`interlock explain`: a rule's page of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from interlock.cli import output

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
examples:
  interlock explain V012         a rule of the code validator
  interlock explain              all rules, a line each
"""
# In a wheel beside this file (pyproject.toml, force-include); in a source tree with the rest of the documentation.
_HOMES = (Path(__file__).parent / "rules", Path(__file__).parents[3] / "docs/reference/rules")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `explain`."""
    parser.epilog = _EPILOG
    parser.add_argument("rule", metavar="RULE", nargs="?", help="for example V012")
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print one page, or the first line of each."""
    pages = _pages()
    if args.rule is None:
        titles = {name: _title(page) for name, page in sorted(pages.items())}
        if args.json:
            output.print_json({"rules": titles})
        else:
            print("\n".join(titles.values()))
        return output.EXIT_DONE
    page = pages.get(args.rule.upper())
    if page is None:
        message = f"there is no rule {args.rule!r}; `interlock explain` lists them"
        raise output.UsageError(message)
    text = page.read_text(encoding="utf-8")
    if args.json:
        output.print_json({"rule": page.stem, "title": _title(page), "text": text})
    else:
        print(text.rstrip("\n"))
    return output.EXIT_DONE


def _pages() -> dict[str, Path]:
    """The pages by rule, from the first home that has any."""
    for home in _HOMES:
        found = {page.stem: page for page in home.glob("V*.md")}
        if found:
            return found
    raise output.UsageError("this installation has no pages on rules")


def _title(page: Path) -> str:
    """`V012 SYSTEM_CALL: the instruction calls the system`."""
    with page.open(encoding="utf-8") as lines:
        return next(lines, "").removeprefix("# ").rstrip("\n")
