"""Classifies all 2^32 AArch64 words and compares the validator's table with two independent disassemblers, LLVM's and capstone.

python tools/classify_aarch64.py                 all words; writes docs/internals/aarch64-classes.md (half an hour on one core)
python tools/classify_aarch64.py --sample N      N random words of each line and their neighbours, to standard output

Needs g++ and Debian's llvm-19-dev.  Fails when a word that the validator accepts is undecoded, has another mnemonic or other
results in a disassembler, unless `EXPLAINED` says why.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import generate_aarch64_table as table  # noqa: E402 - it lies beside this file

CORE = ROOT / "core"
PAGE = ROOT / "docs" / "internals" / "aarch64-classes.md"
LLVM = Path("/usr/lib/llvm-19")
CHUNK_WORDS = 1 << 25
FINDINGS = (
    "LLVM: undecoded",
    "LLVM: unpredictable",
    "LLVM: mnemonic",
    "LLVM: results",
    "capstone: undecoded",
    "capstone: mnemonic",
    "capstone: results",
)
# Preferred disassembly, as the manual has it: an instruction of the name on the left can be printed as those on the right.
ALIASES = {
    "add": "mov",
    "adds": "cmn",
    "sub": "neg",
    "subs": "cmp negs",
    "and": "",
    "ands": "tst",
    "orr": "mov",
    "orn": "mvn",
    "movz": "mov",
    "movn": "mov",
    "sbfm": "asr sbfiz sbfx sxtb sxth sxtw",
    "bfm": "bfi bfxil bfc",
    "ubfm": "lsl lsr ubfiz ubfx uxtb uxth",
    "extr": "ror",
    "sbc": "ngc",
    "sbcs": "ngcs",
    "csinc": "cset cinc",
    "csinv": "csetm cinv",
    "csneg": "cneg",
    "lslv": "lsl",
    "lsrv": "lsr",
    "asrv": "asr",
    "rorv": "ror",
    "madd": "mul",
    "msub": "mneg",
    "smaddl": "smull",
    "smsubl": "smnegl",
    "umaddl": "umull",
    "umsubl": "umnegl",
    "ldadd*": "stadd* stclr* steor* stset* stsmax* stsmin* stumax* stumin*",
    "not": "mvn",
    "umov": "mov",
    "ins": "mov",
    "dup": "mov",
    "nop": "hint",
    "yield": "hint",
    "bti": "hint",
}
# Disagreements that are a disassembler's: finding, mnemonics of the line, why.
EXPLAINED = (
    (
        "capstone: results",
        "ands,adds,sbc",
        "tst, cmp, cmn (aliases without a result) are said to write their first source; adds with an immediate to write nothing",
    ),
    ("capstone: results", "cas*,casp*,ldadd*,swp*", "results of FEAT_LSE are not known to it"),
    ("capstone: results", "smov,umov", "some results are not known to it"),
    (
        "capstone: results",
        "ld1,ld2",
        "a post-index register of one lane's load or store is said to be written",
    ),
)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one line of the table was found to be; `findings` counts, `examples` has a word for each."""

    words: int = 0
    accepted: int = 0
    by_capstone: int = 0
    findings: list[int] = field(default_factory=lambda: [0] * len(FINDINGS))
    examples: list[str] = field(default_factory=lambda: [""] * len(FINDINGS))


@dataclass(slots=True, kw_only=True)
class Result:
    """Of one or more runs."""

    lines: list[Tally]
    unpredictable: int = 0
    unpredictable_only_here: int = 0
    rules: Counter[int] = field(default_factory=Counter)
    sampled: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        """Adds what the comparing program printed."""
        index = 0
        for row in text.splitlines():
            kind, *fields = row.split()
            if kind == "line":
                self._add_line(self.lines[index], fields)
                index += 1
            elif kind == "unpredictable":
                self.unpredictable += int(fields[0])
                self.unpredictable_only_here += int(fields[1].split(":")[0])
            elif kind == "rule":
                self.rules[int(fields[0])] += int(fields[1])
            elif kind == "sampled":
                self.sampled += int(fields[0])
            else:
                self.refused[f"V{int(fields[0]):03} {fields[1]}"] += int(fields[2])

    def _add_line(self, tally: Tally, fields: list[str]) -> None:
        tally.words += int(fields[0])
        tally.accepted += int(fields[1])
        tally.by_capstone += int(fields[2])
        for number, pair in enumerate(fields[3:]):
            count, example = pair.split(":")
            tally.findings[number] += int(count)
            if int(count) and not tally.examples[number]:
                tally.examples[number] = example


def missing() -> str:
    """What the comparison needs and this machine lacks; empty when it has all."""
    if not (LLVM / "include" / "llvm" / "MC" / "MCInst.h").exists():
        return "llvm-19-dev"
    return "" if shutil.which("g++") and shutil.which("gcc") else "g++"


def _tool(name: str) -> str:
    return shutil.which(name) or name


@functools.cache
def _program() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """The comparing program and its folder, which ends with the process: slow to compile, the same for every validator."""
    import capstone

    folder = tempfile.TemporaryDirectory()
    package, program = Path(capstone.__file__).parent, Path(folder.name) / "compare_aarch64"
    library = package / "lib" / "libcapstone.so"
    (program.parent / "libcapstone.so.5").symlink_to(
        library
    )  # the name that the package's file asks for
    config = [LLVM / "bin" / "llvm-config", "--cxxflags", "--ldflags", "--libs"]
    llvm = subprocess.run(config, check=True, capture_output=True, text=True).stdout.split()
    source = CORE / "tests" / "compare_aarch64.cpp"
    command = [_tool("g++"), "-O2", f"-I{package / 'include'}", source, *llvm, library]
    subprocess.run([*command, f"-Wl,-rpath,{program.parent}", "-o", program], check=True)
    return program, folder


def build(work: Path, core: Path = CORE) -> tuple[Path, Path]:
    """The comparing program, and the validator of `core` compiled into `work` for it."""
    library = work / "decode_batch_aarch64.so"
    flags = ["-std=c11", "-O2", "-shared", "-fPIC", f"-I{core / 'include'}", f"-I{core / 'src'}"]
    names = ("tests/decode_batch_aarch64.c", "src/validate.c", "src/validate_x86_64.c")
    sources = [core / name for name in names]
    subprocess.run([_tool("gcc"), *flags, *sources, "-o", library], check=True)
    return _program()[0], library


def write_names(lines: list[table.Line], work: Path) -> Path:
    """The file of mnemonics that the comparing program reads."""
    rows = []
    for line in lines:
        aliases = " ".join(ALIASES.get(name, "") for name in line.mnemonics)
        rows.append("" if line.rule else f"{' '.join(line.mnemonics)} | {aliases}")
    path = work / "names"
    path.write_text("\n".join(rows) + "\n", encoding="ascii")
    return path


def sample_words(lines: list[table.Line], count: int, seed: int) -> bytes:
    """Random words of each line, a neighbour of each that differs in one bit, and as many random words as both."""
    chance = random.Random(seed)  # noqa: S311 - a sample
    words = []
    for line in lines:
        for _ in range(count):
            word = line.value | chance.getrandbits(32) & ~line.mask
            words += [word, word ^ 1 << chance.randrange(32), chance.getrandbits(32)]
    return struct.pack(f"<{len(words)}I", *words)


def run_sample(count: int, seed: int, core: Path = CORE) -> tuple[list[table.Line], Result]:
    """Compares a sample."""
    lines = read_lines(core)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        command = [*build(work, core), write_names(lines, work), "stdin"]
        words = sample_words(lines, count, seed)
        done = subprocess.run(command, input=words, check=True, capture_output=True)
    result = Result(lines=[Tally() for _ in lines])
    result.add(done.stdout.decode())
    return lines, result


def run_all(chunks: Path) -> tuple[list[table.Line], Result]:
    """Compares every word there is; what `chunks` holds already is not compared again."""
    lines = read_lines()
    result = Result(lines=[Tally() for _ in lines])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        command = [*build(work), write_names(lines, work), "range"]
        for first in range(0, 1 << 32, CHUNK_WORDS):
            chunk = chunks / f"{first:08x}"
            if not chunk.exists():
                words = [*command, str(first), str(CHUNK_WORDS)]
                done = subprocess.run(words, check=True, capture_output=True, text=True)
                chunk.with_suffix(".new").write_text(done.stdout, encoding="ascii")
                chunk.with_suffix(".new").rename(chunk)
                print(f"{first + CHUNK_WORDS:#x} of 0x100000000", file=sys.stderr, flush=True)
            result.add(chunk.read_text(encoding="ascii"))
    return lines, result


def read_lines(core: Path = CORE) -> list[table.Line]:
    """The data file."""
    return table.parse((core / "tables" / "aarch64.instrs").read_text(encoding="ascii"))


def disagreements(lines: list[table.Line], result: Result) -> list[str]:
    """What no explanation covers."""
    found = []
    for line, tally in _pairs(lines, result):
        for number, name in enumerate(FINDINGS):
            if tally.findings[number] and not _explanation(line, name):
                example = tally.examples[number]
                found.append(
                    f"{name}: {tally.findings[number]} of {','.join(line.mnemonics)} ({line.pattern}), e.g. {example}"
                )
    return found


def _explanation(line: table.Line, finding: str) -> str:
    for name, mnemonics, why in EXPLAINED:
        if name == finding and (
            mnemonics == "*" or set(mnemonics.split(",")) & set(line.mnemonics)
        ):
            return why
    return ""


def render(lines: list[table.Line], result: Result) -> str:
    """The page about a run over all words."""
    accepted = sum(tally.accepted for tally in result.lines)
    compared = sum(tally.words for line, tally in _pairs(lines, result) if not line.rule)
    by_capstone = sum(tally.by_capstone for tally in result.lines)
    out = [
        "# Every AArch64 word",
        "",
        "Generated by `tools/classify_aarch64.py`; do not edit.",
        f"All {1 << 32:,} words went through the code validator's table; {accepted:,} are accepted where they stand alone.",
        "Where a branch leads and what a reference to a constant names is checked in the image.",
        f"Each of the {compared - result.unpredictable:,} words of lines that accept went through LLVM's disassembler, 19.1.",
        f"Another {result.unpredictable:,} are refused as unpredictable.",
        f"Capstone, 5.0, saw {by_capstone:,}: the first {1 << 16:,} of each line in each part of the run, then one of eight.",
        "Compared are: whether it decodes, the mnemonic, and the set of general registers (with sp) that are written.",
        "",
        "| Rule | Words |",
        "| --- | ---: |",
        *(
            f"| {f'V{rule:03}' if rule else 'accepted'} | {count:,} |"
            for rule, count in sorted(result.rules.items())
        ),
        "",
        "## Disagreements, and why the table stands",
        "",
        "| Disassembler: what | Mnemonics | Words | Why |",
        "| --- | --- | ---: | --- |",
    ]
    for line, tally in _pairs(lines, result):
        for number, name in enumerate(FINDINGS):
            if tally.findings[number]:
                why = _explanation(line, name) or "**not explained**"
                out.append(
                    f"| {name} | {', '.join(line.mnemonics)} | {tally.findings[number]:,} | {why} |"
                )
    unwarned = f"{result.unpredictable_only_here:,}"
    out += ["", f"Of the words refused as unpredictable LLVM decodes {unwarned} without a warning."]
    return "\n".join([*out, *_render_lines(lines, result), *_render_refused(result)]) + "\n"


def _render_lines(lines: list[table.Line], result: Result) -> list[str]:
    out = ["", "## The lines", "", "Where two lines match a word, the narrower one counts."]
    reason = ""
    for line, tally in _pairs(lines, result):
        if line.reason != reason:
            reason = line.reason
            out += ["", f"### {reason[0].upper()}{reason[1:]}", ""]
            out += [
                "| Pattern | Mnemonics | Writes | Verdict | Words | Accepted |",
                "| --- | --- | --- | --- | ---: | ---: |",
            ]
        verdict = f"V{line.rule:03}" if line.rule else "+".join(line.classes)
        names = ", ".join(line.mnemonics)
        out.append(
            f"| `{line.pattern}` | {names} | {', '.join(line.writes) or '-'} | {verdict} | {tally.words:,} | {tally.accepted:,} |"
        )
    return out


def _render_refused(result: Result) -> list[str]:
    out = ["", "## Refused, though LLVM decodes it", ""]
    out.append(
        f"Of {result.sampled:,} refused words, a spread sample of one in sixteen, by rule and mnemonic:"
    )
    out.append("")
    rules: dict[str, list[str]] = {}
    for name, count in sorted(result.refused.items()):
        rules.setdefault(name.split()[0], []).append(f"{name.split()[1]} {count:,}")
    for rule, names in sorted(rules.items()):
        out += [f"- {rule}: {', '.join(names)}."]
    return out


def _pairs(lines: list[table.Line], result: Result) -> list[tuple[table.Line, Tally]]:
    return list(zip(lines, result.lines, strict=True))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="random words of each line instead of all words"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="keep and reuse the parts of the long run there"
    )
    options = parser.parse_args()
    if missing():
        print(f"needs {missing()}", file=sys.stderr)
        return 2
    os.nice(10)
    with tempfile.TemporaryDirectory() as folder:
        if options.sample:
            lines, result = run_sample(options.sample, options.seed)
        else:
            chunks = options.resume or Path(folder)
            chunks.mkdir(parents=True, exist_ok=True)
            lines, result = run_all(chunks)
            PAGE.write_text(render(lines, result), encoding="ascii")
    found = disagreements(lines, result)
    print("\n".join(found) or "no disagreement without an explanation")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
