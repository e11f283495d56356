"""`interlock doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.cli import output

if TYPE_CHECKING:
    import argparse

    from interlock.runtime.doctor import Attempt, Diagnosis

_EPILOG = """\
Opens a region as `interlock run` does and attacks it from child processes: by mprotect, remapping, new mappings, memory
files, process_vm_writev and ptrace, before and after `interlock.harden_process()`; as root also as an ordinary user.
An attack that is denied is a good sign.  The level counts what an ordinary user can do to published code.

child_*, outsider_*   by a forked child; by another process of the same user, which is never hardened
*_writer              on the writer process: as root they succeed until the process is hardened (an outsider's always)
new_*                 not on published code: other executable memory, which is refused after harden_process() only

examples:
  interlock doctor
  interlock doctor --require sealed      exit status 1 unless code memory has this level
  interlock doctor --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `doctor`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--require", metavar="LEVEL", choices=("sealed",), help="fail unless this level is had"
    )
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Attack, and print what held."""
    from interlock.runtime.doctor import diagnose

    found = diagnose()
    level = found.level.value if found.level is not None else "none"
    if args.json:
        output.print_json(
            {
                "level": level,
                "writer": found.writer,
                "mapping": list(found.mapping),
                "problem": found.problem,
                "attacks": [_as_object(each) for each in found.attempts],
            }
        )
    else:
        _print_table(found, level, is_coloured=output.has_colour(args))
    is_missed = found.level is None or (args.require is not None and level != args.require)
    return output.EXIT_NO if is_missed else output.EXIT_DONE


def _as_object(attempt: Attempt) -> dict[str, object]:
    return {
        "name": attempt.name,
        "as": attempt.user,
        "hardened": attempt.is_hardened,
        "outcome": "denied" if attempt.is_denied else "allowed",
        "by": attempt.by,
    }


def _print_table(found: Diagnosis, level: str, *, is_coloured: bool) -> None:
    print(f"level    {level}")
    print(f"writer   {found.writer}: who can write code")
    print(f"mapping  {', '.join(found.mapping) or '-'}: how it is held")
    if found.problem:
        print("problem  " + found.problem.replace("\n", "\n         "))
    width = max((len(each.name) for each in found.attempts), default=0)
    heading = None
    for each in found.attempts:
        group = (
            f"as the {each.user} user, {'after' if each.is_hardened else 'before'} harden_process()"
        )
        if group != heading:
            heading = group
            print(f"\n{heading}")
        verdict = "denied " if each.is_denied else "allowed"
        colour = "green" if each.is_denied else "red"
        painted = output.paint(verdict, colour, is_on=is_coloured)
        print(f"  {each.name:<{width}}  {painted}  {each.by}".rstrip())
