"""What is wrong with an entry, in the words of whoever writes one: which line, which field, what.

Nothing of what stands there is shown: it may be a secret in the wrong place.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, SequenceNode

WORDS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is no field of an entry (docs/providers.md has them all)",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "string_pattern_mismatch": "has characters that it may not have, too many, or none",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "mapping_type": "must be names with values",
    "model_type": "must be names with values",
    "date_type": "must be a date such as 2026-12-31",
    "date_from_datetime_parsing": "must be a date such as 2026-12-31",
}
"""By pydantic's type of a mistake; its own words where there are none here."""


def mistakes(text: str, error: ValidationError) -> str:
    """All that is wrong with the fields."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return "; ".join(
        f"{_place(root, problem['loc'])}: {_what(problem['type'], problem['msg'])}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    )


def no_yaml(error: yaml.YAMLError) -> str:
    """Where a file ceases to be YAML."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}this is no YAML; look at indentation, colons and quotes there and just before"


def _what(kind: str, message: str) -> str:
    return WORDS.get(kind, message.removeprefix("Value error, "))


def _place(root: Node | None, path: Sequence[str | int]) -> str:
    """The field, and the line it stands in, as far as it is there."""
    line = root.start_mark.line if root else None
    node = root
    for step in path:
        found = _below(node, step)
        if found is None:
            break
        line, node = found
    name = ".".join(str(step) for step in path) or "entry"
    known = line is not None and node is not root
    return f"line {line + 1}, {name}" if known and line is not None else name


def _below(node: Node | None, step: str | int) -> tuple[int, Node] | None:
    """The line and value of a field, or of a place in a list."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None
