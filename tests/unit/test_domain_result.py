"""``Success`` and ``Failure`` as values: how they are made, matched, compared."""

from dataclasses import FrozenInstanceError
from typing import Any, get_args
from uuid import UUID

import pytest

from domain.result import Failure, Result, Success


def told(result: Result[int, str]) -> str:
    match result:
        case Success(value):
            return f"success {value}"
        case Failure(error):
            return f"failure {error}"


def told_by_name(result: Result[int, str]) -> str:
    match result:
        case Success(value=value):
            return f"success {value}"
        case Failure(error=error):
            return f"failure {error}"


@pytest.mark.parametrize("tell", [told, told_by_name])
def test_both_are_matched_by_position_and_by_keyword(tell: Any) -> None:
    assert tell(Success(value=1)) == "success 1"
    assert tell(Failure(error="no")) == "failure no"


@pytest.mark.parametrize("kind", [Success, Failure])
def test_both_are_made_with_a_keyword_only(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind(1)
    with pytest.raises(TypeError):
        kind()


@pytest.mark.parametrize(
    ("result", "field"), [(Success(value=1), "value"), (Failure(error="no"), "error")]
)
def test_both_are_frozen(result: Result[int, str], field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(result, field, 2)


def test_results_are_compared_by_value_and_kind() -> None:
    assert Success(value=1) == Success(value=1)
    assert Success(value=1) != Success(value=2)
    assert Failure(error="no") == Failure(error="no")
    one: object = Success(value=1)
    assert one != Failure(error=1)
    assert hash(Success(value=1)) == hash(Success(value=1))


def test_the_alias_takes_two_types_at_run_time() -> None:
    alias: Any = Result
    assert get_args(alias[UUID, str]) == (Success[UUID], Failure[str])


def test_nothing_is_a_success_and_a_failure() -> None:
    assert not isinstance(Success(value=None), Failure)
    assert not isinstance(Failure(error=None), Success)
