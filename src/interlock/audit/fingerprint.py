"""What a finding is recognised by in another version of its file: not by its line's number but by what stands in it."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from interlock.audit.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interlock.audit.finding import Finding


def fingerprints(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Each finding with its fingerprint; findings that look alike in one file are told apart by their order."""
    seen: Counter[bytes] = Counter()
    sources = Sources()
    for finding in findings:
        key = _key(finding, sources)
        seen[key] += 1
        yield finding, hashlib.sha256(key + str(seen[key]).encode()).hexdigest()[:32]


def _key(finding: Finding, sources: Sources) -> bytes:
    place = finding.place
    # A binary has no lines; its offsets and addresses change with each build, its sections and what is said of them do not.
    text = (
        " ".join(sources.line(place.path, place.line).split())
        if place.line
        else finding.match.message
    )
    parts = (finding.rule, place.path, place.architecture, place.section, text)
    return b"".join(part.encode("utf-8", "surrogateescape") + b"\0" for part in parts)
