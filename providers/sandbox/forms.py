"""Reading parameters as RFC 6749 wants them read: repeated ones are noticed, empty ones are absent.

Used for queries and for form bodies alike. What a missing parameter means, its reader decides.
"""

from collections import Counter
from dataclasses import dataclass
from urllib.parse import parse_qsl

from .answers import Refused


@dataclass(frozen=True)
class Form:
    """The parameters of one request."""

    fields: dict[str, str]
    repeated: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Form":
        pairs = parse_qsl(text, keep_blank_values=True)
        times = Counter(name for name, _ in pairs)
        repeated = frozenset(name for name, count in times.items() if count > 1)
        return cls({name: value for name, value in pairs if value}, repeated)

    def get(self, name: str) -> str | None:
        return self.fields.get(name)

    def require(self, name: str) -> str:
        value = self.fields.get(name)
        if value is None:
            raise Refused("invalid_request", f"The parameter {name} is missing.")
        return value
