"""`interlock validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import interlock
from interlock.artifacts import CodeImage, CodeOffset
from interlock.cli import output, sources
from interlock.target import X86_64_LINUX_V3

if TYPE_CHECKING:
    import argparse

    from interlock import Rejection

_EPILOG = """\
What is checked:
  .o             an x86-64 ELF object: linked by us, then every instruction by the code validator
  .bin, --raw    x86-64 machine code as it is, entered at its first byte
  .wasm, .wat    byte-code: WebAssembly's own validation

The verdict here is an opinion.  Only what the writer process checks itself becomes executable.

examples:
  interlock validate object.o
  printf '\\x0f\\x05\\xc3' > code.bin; interlock validate code.bin
  interlock validate --json program.wasm
  interlock validate --refuse avx --refuse atomic object.o
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `validate`."""
    parser.epilog = _EPILOG
    parser.add_argument("file", metavar="FILE", help="an object, machine code, .wasm or .wat")
    parser.add_argument(
        "--raw", action="store_true", help="FILE is machine code, whatever its name"
    )
    classes = [each.name.lower() for each in interlock.InstructionClass]
    known = f"refuse these instructions too: {', '.join(classes)}; may be given again"
    parser.add_argument("--refuse", action="append", choices=classes, default=[], help=known)
    output.add_common_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Check one file; 0 accepted, 1 rejected."""
    data = sources.read(args.file)
    kind = "raw" if args.raw else sources.kind_of(args.file, data)
    if kind in {"wasm", "wat"}:
        return _validate_byte_code(args, kind, data)
    if kind == "object":
        image = interlock.link_object(data)
    else:
        entries = {"entry": CodeOffset(0)}
        image = CodeImage(target=X86_64_LINUX_V3, code=data, entries=entries)
    imports = sorted({each.symbol for each in image.relocations if each.symbol is not None})
    refused = frozenset(interlock.InstructionClass[name.upper()] for name in args.refuse)
    policy = interlock.Policy(refused_classes=refused)
    rejections = interlock.validate_image_all(image, imports=imports, policy=policy)
    if args.json:
        output.print_json(
            {
                "file": args.file,
                "kind": kind,
                "accepted": not rejections,
                "code_bytes": len(image.code),
                "violations": [_as_object(each) for each in rejections],
            }
        )
    else:
        _print_verdict(args, len(image.code), rejections)
    return output.EXIT_NO if rejections else output.EXIT_DONE


def _print_verdict(args: argparse.Namespace, code_bytes: int, rejections: list[Rejection]) -> None:
    is_on = output.has_colour(args)
    for rejection in rejections:
        rule = output.paint(rejection.rule_id, "red", is_on=is_on)
        detail = f" ({rejection.detail})" if rejection.detail else ""
        seen = rejection.bytes_seen.hex(" ")
        print(f"{args.file}+{rejection.offset:#x}: {rule} [{seen}] {rejection.text}{detail}")
    if not rejections and not args.quiet:
        accepted = output.paint("accepted", "green", is_on=is_on)
        print(f"{args.file}: {accepted}, {code_bytes} bytes of code")


def _as_object(rejection: Rejection) -> dict[str, object]:
    return {
        "rule": rejection.rule_id,
        "offset": rejection.offset,
        "bytes": rejection.bytes_seen.hex(),
        "text": rejection.text,
        "detail": rejection.detail,
    }


def _validate_byte_code(args: argparse.Namespace, kind: str, data: bytes) -> int:
    from interlock.runtime import pipeline

    problem: interlock.SourceError | None = None
    try:
        if kind == "wat":
            pipeline.read_wat(sources.decode_text(args.file, data), file=args.file)
        else:
            pipeline.read_wasm(data, file=args.file)
    except interlock.SourceError as error:
        problem = error
    message = None if problem is None else output.locate(problem, args.file)
    if args.json:
        output.print_json(
            {"file": args.file, "kind": kind, "accepted": problem is None, "error": message}
        )
    elif message is not None:
        print(message)
    elif not args.quiet:
        print(f"{args.file}: {output.paint('valid', 'green', is_on=output.has_colour(args))}")
    return output.EXIT_DONE if problem is None else output.EXIT_NO
