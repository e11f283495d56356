"""`interlock mac run`: runs a WebAssembly program as AArch64 code on the modelled Mac."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from interlock.cli import output, sources
from interlock.errors import UnknownNameError

if TYPE_CHECKING:
    from interlock.mac import Event
    from interlock.runtime.modelled import MacRun

SUMMARY = "run a program on the modelled Mac, with what it owes the Mac or without"
OBLIGATIONS = ("allow-jit", "allow-list", "freeze", "invalidate", "validate")
_EPILOG = """\
The program is compiled for Apple silicon, published by the library that Macs get, through its write callback, and run instruction by
instruction under the contract: pages of 16 KiB, the state of each thread, a separate instruction cache, the Hardened Runtime, the list.
What --without leaves out:
  allow-jit    the entitlement           freeze      freezing, in a process with freeze-late
  allow-list   the list of callbacks     invalidate  sys_icache_invalidate
  validate     the check in the callback: a second one only copies

examples:
  interlock mac run hello.wasm
  interlock mac run --without allow-list hello.wasm            killed: rule C8
  interlock mac run --profile macos-arm64 --timeline hello.wasm
The exit status is the program's; 1 when the Mac refuses or ends it, with the rule on stderr: `interlock explain C8`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mac run`."""
    parser.epilog = _EPILOG
    parser.usage = "interlock mac run [OPTION...] FILE [ARG...]"
    option = parser.add_argument
    option("--profile", default="macos-arm64-allowlist", help="the process and its Mac")
    option("--macos", metavar="VERSION", help="the version of macOS, as 11.2")
    option("--entitlements", metavar="FILE", help="an XML property list instead of the profile's")
    option(
        "--without",
        metavar="WHAT",
        choices=OBLIGATIONS,
        action="append",
        default=[],
        help=f"leave an obligation out: {', '.join(OBLIGATIONS)}; repeatable",
    )
    option("--timeline", action="store_true", help="print what happened, on stderr")
    output.add_common_arguments(parser)
    option("command_line", metavar="FILE [ARG...]", nargs=argparse.REMAINDER, help="the program")


def run(args: argparse.Namespace) -> int:
    """Compile, load the library, publish, run."""
    words: list[str] = args.command_line
    if not words:
        raise output.UsageError("mac run needs a program: interlock mac run hello.wasm")
    result, printed = _run(args, *words)
    if args.json:
        output.print_json(
            {
                "exit_status": result.exit_status,
                "outcome": str(result.outcome),
                "rule": result.outcome.rule,
                "stdout": printed,
                "timeline": [
                    {"thread": each.thread, "event": each.what, "outcome": str(each.outcome)}
                    for each in result.timeline
                ],
            }
        )
    else:
        if args.timeline:
            for event in result.timeline:
                output.say(_line(event))
        if result.outcome.rule or result.is_refused:
            output.say(_verdict(result))
    return result.exit_status


def _run(args: argparse.Namespace, file: str, *program_args: str) -> tuple[MacRun, str]:
    import io

    import interlock
    from interlock.cli.mac_exec import read_profile
    from interlock.runtime import modelled, pipeline

    args.file = file
    try:
        profile = read_profile(args)
    except UnknownNameError as error:
        raise output.UsageError(str(error)) from None
    data = sources.read(file)
    if sources.kind_of(file, data) == "wat":
        module = pipeline.read_wat(sources.decode_text(file, data), file=file)
    else:
        module = pipeline.read_wasm(data, file=file)
    inherit, captured = interlock.Wasi.INHERIT, io.BytesIO()
    wasi = interlock.Wasi(
        args=[os.path.basename(file), *program_args],  # noqa: PTH119  (as interlock run)
        stdin=inherit,
        stdout=captured if args.json else inherit,
        stderr=inherit,
    )
    without = frozenset(map(modelled.Obligation, args.without))
    result = modelled.run_on_mac(module, profile, wasi=wasi, without=without)
    return result, captured.getvalue().decode(errors="replace")


def _line(event: Event) -> str:
    return f"{event.thread:<8} {event.what:<72} {event.outcome}"


def _verdict(result: MacRun) -> str:
    from interlock import contract

    outcome = result.outcome
    statement = contract.rule(outcome.rule).statement if outcome.rule else ""
    what = str(outcome) if result.is_refused else f"the Mac does not notice: {outcome.rule}"
    return f"interlock: {what}\n  {statement}".rstrip()
