"""Success or failure as values, for entity transitions and commands.

Everywhere else exceptions are exceptions and provider outcomes are values of their own
(``domain.outcomes``); this type does not spread.
"""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True, kw_only=True)
class Success(Generic[T]):
    """It happened. Matches by position too: ``case Success(value)``."""

    __match_args__ = ("value",)

    value: T


@dataclass(frozen=True, kw_only=True)
class Failure(Generic[E]):
    """It did not, and nothing was changed. Matches by position too: ``case Failure(error)``."""

    __match_args__ = ("error",)

    error: E


Result: TypeAlias = Success[T] | Failure[E]
