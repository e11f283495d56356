"""A baseline: the findings that were there before, in a file, so that only new ones count."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.audit import atomic
from interlock.audit.fingerprint import fingerprints
from interlock.errors import AuditSetupError
from interlock.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from interlock.audit.finding import Finding

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The fingerprints that a file holds."""

    known: frozenset[str] = frozenset()

    def split(self, findings: Iterable[Finding]) -> tuple[list[Finding], list[Finding], int]:
        """New findings, known ones, and how many of the baseline are gone.

        All findings of the audit must be given, also those that are suppressed: fingerprints count those that look alike.
        """
        new: list[Finding] = []
        old: list[Finding] = []
        met: set[str] = set()
        for finding, fingerprint in fingerprints(findings):
            (old if fingerprint in self.known else new).append(finding)
            met.add(fingerprint)
        return new, old, len(self.known - met)


def read(path: Path) -> Baseline:
    """The baseline in a file; AuditSetupError says where it is damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.AUDIT_BASELINE_BYTES_MAX + 1)
    except OSError as error:
        raise _wrong(path, f"{error.strerror}; --write-baseline makes it") from None
    if len(data) > limits.AUDIT_BASELINE_BYTES_MAX:
        raise _wrong(path, "it passes the limit AUDIT_BASELINE_BYTES_MAX")
    try:
        content = json.loads(data)
    except json.JSONDecodeError as error:
        raise _wrong(path, f"it is no JSON: {error.msg}", error.lineno, error.colno) from None
    except (UnicodeDecodeError, RecursionError):
        raise _wrong(path, "it is no JSON") from None
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise _wrong(path, f"it is no baseline of version {_VERSION}; --write-baseline renews it")
    rows = content.get("findings")
    known: set[str] = set()
    for row in rows if isinstance(rows, list) else (None,):
        fingerprint = row.get("fingerprint") if isinstance(row, dict) else None
        if not isinstance(fingerprint, str):
            raise _wrong(path, "a finding of it has no fingerprint; --write-baseline renews it")
        known.add(fingerprint)
    return Baseline(known=frozenset(known))


def write(path: Path, findings: Iterable[Finding]) -> None:
    """Make or renew the file: a finding a line, in their order, so that a diff of two baselines can be read."""
    rows = [
        {
            "fingerprint": fingerprint,
            "rule": finding.rule,
            "path": finding.place.path,
            "message": finding.message,
        }
        for finding, fingerprint in fingerprints(findings)
    ]
    text = ",\n".join(json.dumps(row) for row in rows)
    atomic.write(path, f'{{"version": {_VERSION}, "findings": [\n{text}\n]}}\n'.encode())


def _wrong(path: Path, problem: str, line: int = 0, column: int = 1) -> AuditSetupError:
    span = Span(start=0, end=0, line=line, column=column - 1, file=str(path)) if line else None
    return AuditSetupError(problem if span else f"{path}: {problem}", span=span)
