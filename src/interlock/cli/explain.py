"""`interlock explain`: a rule's page of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.cli import output, rule_pages

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
examples:
  interlock explain V012         a rule of the code validator
  interlock explain C8           a rule of Apple's contract for just-in-time compilers
  interlock explain              all rules, a line each
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `explain`."""
    parser.epilog = _EPILOG
    parser.add_argument("rule", metavar="RULE", nargs="?", help="for example V012 or C8")
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print one page, or the first line of each."""
    if args.rule is None:
        titles = {page.id: page.title for page in rule_pages.all_pages().values()}
        if args.json:
            output.print_json({"rules": titles})
        else:
            print("\n".join(titles.values()))
        return output.EXIT_DONE
    page = rule_pages.find(args.rule)
    if args.json:
        output.print_json(page.facts)
    else:
        print(page.text)
    return output.EXIT_DONE
