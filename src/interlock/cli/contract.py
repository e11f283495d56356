"""`interlock contract`: what is known about Apple's contract from real Macs."""

from __future__ import annotations

import argparse
from pathlib import Path

from interlock.cli import output

_IMPORT_EPILOG = """\
examples:
  interlock contract import result.jsonl                      what the Mac says; added to the contract if it agrees
  interlock contract import result.jsonl --with-differences   added even so: the rules then say where it differs

exit status: 0 every rule that could be asked agrees, 1 something differs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `contract`."""
    parser.epilog = "examples:\n  interlock contract import result.jsonl\n"
    commands = parser.add_subparsers(dest="contract_command", metavar="COMMAND", required=True)
    command = commands.add_parser(
        "import",
        help="read what the probe saw on a Mac, and add it to the contract",
        description="Reads what interlock-probe wrote on a Mac, and adds it to the status of the rules.",
        epilog=_IMPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("file", metavar="FILE", help="the lines of JSON that the probe wrote")
    command.add_argument(
        "--into", metavar="FILE", type=Path, help="where results are kept; the contract's own file"
    )
    command.add_argument(
        "--with-differences", action="store_true", help="keep a result that differs from a rule"
    )
    output.add_common_arguments(command)


def run(args: argparse.Namespace) -> int:
    """Read a result, say what it means, and keep it."""
    from interlock.contract import observations, probe_result

    into = args.into or observations.KEPT
    new = probe_result.read(Path(args.file))
    old = observations.parse(into.read_text("utf-8"), file=str(into)) if into.exists() else ()
    results = observations.merged(old, new)
    is_kept = args.with_differences or not new.disagreements
    if is_kept:
        part = into.with_name(f".{into.name}.part")  # so that no half of a file is left
        part.write_text(observations.text_of(results), encoding="utf-8")
        part.replace(into)
    if args.json:
        output.print_json({**probe_result.facts(new, results), "kept": is_kept})
    else:
        print(probe_result.describe(new, results))
        for each in new.disagreements:
            text = output.paint("DIFFERS", "red", is_on=output.has_colour(args))
            print(f"{text} {each}")
    if not args.quiet:
        output.say(_remark(into, is_kept=is_kept))
    return output.EXIT_NO if new.disagreements else output.EXIT_DONE


def _remark(into: Path, *, is_kept: bool) -> str:
    if is_kept:
        return f"kept in {into}; now python tools/generate_contract_docs.py"
    return "not kept: a rule or its scenario is wrong, or the probe; --with-differences keeps it"
