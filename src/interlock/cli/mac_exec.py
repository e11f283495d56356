"""`interlock mac exec`: runs a Linux program that links libinterlock_apple as a Mac of a profile would run it."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from interlock import apple
from interlock.cli import output
from interlock.errors import UnknownNameError

if TYPE_CHECKING:
    from interlock.contract import Profile

SUMMARY = "run a native Linux program under Apple's rules for just-in-time compilers"
_VARIABLE = "INTERLOCK_APPLE"
_EPILOG = """\
The program is one for a Mac, compiled here: it includes interlock/pthread_jit.h and links libinterlock_apple, which enforces the
rules in the process.  What a Mac refuses fails with its errno, what faults there raises SIGBUS, what kills there ends the process
with Apple's message and the rule: `interlock explain C8`.

profiles:
  macos-arm64             native on Apple silicon (the default)     macos-x86_64           an Intel Mac
  macos-arm64-hardened    hardened, with allow-jit                  macos-x86_64-hardened  hardened, with allow-jit
  macos-arm64-allowlist   and with jit-write-allowlist              rosetta                x86_64 code on Apple silicon

examples:
  cc my-jit.c $(python -m interlock.apple --cflags --libs) -o my-jit      build
  interlock mac exec -- ./my-jit 1 2                                      run as on a developer's Mac
  interlock mac exec --profile macos-arm64-allowlist -- ./my-jit          as shipped: hardened, only listed callbacks write
  interlock mac exec --profile macos-arm64-hardened --entitlements app.entitlements -- ./my-jit
  interlock mac exec --macos 11.1 -- ./my-jit                             an older system
  interlock mac exec --preload -- python3 my_jit.py                       calls through ctypes, or from Rust
  interlock mac exec --switch jit-regions=many --verbose -- ./my-jit      what only a Mac can answer, and every refusal on stderr

The exit status is the program's; 128 + N if signal N ended it, as in a shell.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mac exec`."""
    parser.epilog = _EPILOG
    parser.usage = "interlock mac exec [options] -- PROGRAM [ARGUMENT...]"
    parser.add_argument("--profile", default="macos-arm64", help="the process and its Mac")
    parser.add_argument("--macos", metavar="VERSION", help="the version of macOS, as 11.2")
    parser.add_argument(
        "--entitlements", metavar="FILE", help="an XML property list instead of the profile's"
    )
    parser.add_argument(
        "--switch",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an answer to what only a Mac knows; `interlock explain A7` names its switch; repeatable",
    )
    parser.add_argument(
        "--wait-ms",
        metavar="N",
        type=int,
        help="how long executing waits for writing before that is a deadlock",
    )
    parser.add_argument("--verbose", action="store_true", help="say every refusal and fault")
    parser.add_argument(
        "--preload", action="store_true", help="for a program that does not link the library"
    )
    parser.add_argument("program", metavar="PROGRAM", nargs=argparse.REMAINDER)


def run(args: argparse.Namespace) -> int:
    """Become the program; return only if that fails."""
    words = args.program[1:] if args.program[:1] == ["--"] else args.program
    if not words:
        raise output.UsageError("mac exec needs a program: interlock mac exec -- ./my-jit")
    program = shutil.which(words[0])
    if program is None:
        raise output.UsageError(f"{words[0]}: there is no such program")
    environment = {**os.environ, _VARIABLE: _settings(args)}
    if args.preload:
        environment["LD_PRELOAD"] = f"{apple.library()} {os.environ.get('LD_PRELOAD', '')}".strip()
    os.execve(program, words, environment)  # noqa: S606  (no shell is wanted)


def _settings(args: argparse.Namespace) -> str:
    """The text that il_apple_configure() takes."""
    from interlock.contract.entitlements import SHORT_NAMES
    from interlock.contract.switches import switch_settings

    switches = dict(word.partition("=")[::2] for word in args.switch)
    try:
        profile = read_profile(args)
        switch_settings(switches)
    except UnknownNameError as error:
        raise output.UsageError(str(error)) from None
    granted = [short for short, key in SHORT_NAMES.items() if profile.entitlements.has(key)]
    words = [
        f"profile={profile.name} macos={profile.macos} entitlements={','.join(granted)}",
        *(f"{name}={value}" for name, value in switches.items()),
        *([f"wait-ms={args.wait_ms}"] if args.wait_ms is not None else []),
        *(["verbose=1"] if args.verbose else []),
    ]
    return " ".join(words)


def read_profile(args: argparse.Namespace) -> Profile:
    """The profile that `--profile`, `--macos` and `--entitlements` name."""
    from interlock import contract

    profile = contract.profile(args.profile)
    macos = contract.MacosVersion.parse(args.macos) if args.macos else None
    if args.entitlements is None:
        return profile.with_(macos=macos)
    data = Path(args.entitlements).read_bytes()
    entitlements = contract.parse_plist(data, file=args.entitlements)
    for remark in entitlements.remarks():
        output.say(f"interlock: {args.entitlements}: {remark}")
    return profile.with_(entitlements=entitlements, macos=macos)
