"""`interlock run --invoke`: one exported function, called with words and printed as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from interlock.cli import output, values

if TYPE_CHECKING:
    import interlock


def names(instance: interlock.Instance) -> str:
    """The exported functions, for a message."""
    declared = instance.module.validated.module.exports
    return ", ".join(each.name for each in declared if each.kind.name == "FUNC") or "-"


def call(instance: interlock.Instance, name: str, texts: list[str], *, is_json: bool) -> int:
    """Call it, and print its results one a line, or as one object."""
    function = instance.exports.get(name)
    if not callable(function):
        message = f"there is no exported function {name!r}; there are: {names(instance)}"
        raise output.UsageError(message)
    params, results = _signature(instance, name)
    found = function(*values.parse_arguments(name, params, texts))
    given = [] if not results else list(found) if isinstance(found, tuple) else [found]
    pairs = list(zip(results, given, strict=True))
    if is_json:
        listed = [{"type": kind, "value": _json_value(kind, value)} for kind, value in pairs]
        output.print_json({"function": name, "results": listed})
    else:
        for kind, value in pairs:
            print(values.format_result(kind, value))
    return output.EXIT_DONE


def _signature(instance: interlock.Instance, name: str) -> tuple[list[str], list[str]]:
    validated = instance.module.validated
    index = next(each.index for each in validated.module.exports if each.name == name)
    func_type = validated.func_type(index)
    params, results = (
        [kind.name.lower() for kind in side] for side in (func_type.params, func_type.results)
    )
    return params, results


def _json_value(kind: str, value: object) -> object:
    """JSON has no infinities and no NaN: these are strings."""
    if isinstance(value, float):
        return float(values.format_result(kind, value)) if math.isfinite(value) else repr(value)
    return value if isinstance(value, int) else repr(value)
