"""A string that does not show itself: not in logs, tracebacks, f-strings, pickles or payloads.

A second net. The first is that secrets stay inside the functions that need them; Python cannot
wipe a ``str`` from memory, and this class does not pretend to.
"""

import hmac
from typing import Final, NoReturn

HIDDEN: Final = "***"


class Secret:
    """Wraps a secret; ``reveal()`` is the only way to read it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Search the code for this word to see where secrets are read."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        ours, theirs = (each._value.encode(errors="surrogatepass") for each in (self, other))
        return hmac.compare_digest(ours, theirs)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")
