"""A rule as text for people and as facts for programs; `interlock explain` and the reference page print both from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.contract.switches import QUESTIONS, SWITCHES

if TYPE_CHECKING:
    from interlock.contract.rule import Rule


def describe(rule: Rule, *, level: int = 1) -> str:
    """The rule in Markdown, under a heading of this level."""
    lines = [
        f"{'#' * level} {rule.id}: {rule.statement}",
        "",
        f"- **Applies:** {'; or '.join(map(str, rule.when))}",
        *(f"- **Effect:** {effect}" for effect in rule.effects),
        *(f"- **Source:** {each}" for each in rule.evidence),
        f"- **Status:** {' '.join(rule.marks)}",
        f"- **Seen:** {rule.observation.value}",
    ]
    for switch in SWITCHES:
        if switch.rule == rule.id:
            values = ", ".join(switch.values[1:])
            text = f"`{switch.name}` = {switch.default} (or {values}): {switch.text}"
            lines.append(f"- **Switch:** {text}")
    lines += [
        f"- **Open question {each.number}:** {each.text}"
        for each in QUESTIONS
        if each.rule == rule.id
    ]
    return "\n".join([*lines, "", "```text", rule.example, "```"])


def facts(rule: Rule) -> dict[str, object]:
    """The rule as one object of JSON."""
    return {
        "rule": rule.id,
        "statement": rule.statement,
        "applies": [str(each) for each in rule.when],
        "effects": [
            {
                "kind": each.kind.value,
                "name": each.name,
                "message": each.message,
                "text": each.text,
                "when": str(each.when),
            }
            for each in rule.effects
        ],
        "sources": [{"mark": each.mark.value, "source": each.source} for each in rule.evidence],
        "status": [mark.value for mark in rule.marks],
        "seen": rule.observation.value,
        "switches": [each.name for each in SWITCHES if each.rule == rule.id],
        "example": rule.example,
    }
