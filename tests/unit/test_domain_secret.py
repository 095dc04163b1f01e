"""A secret does not show itself, whatever is done to it by accident."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass
from string import Template
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from domain.secret import HIDDEN, Secret

VALUE = "mlcanary-secret-value"
SECRET = Secret(VALUE)


@dataclass(frozen=True)
class Holder:
    secret: Secret


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    secret: Secret


def test_only_reveal_reads_it() -> None:
    assert SECRET.reveal() == VALUE


@pytest.mark.parametrize(
    "shown",
    [
        repr(SECRET),
        str(SECRET),
        f"{SECRET}",
        f"{SECRET!r}",
        f"{SECRET!s}",
        f"{SECRET:>40}",
        "{}".format(SECRET),  # noqa: UP032 -- another way in
        "%s %r" % (SECRET, SECRET),  # noqa: UP031 -- another way in
        Template("$it").substitute(it=SECRET),
        repr([SECRET]),
        repr({"it": (SECRET,)}),
        repr(Holder(SECRET)),
        repr(Model(secret=SECRET)),
    ],
)
def test_it_is_hidden_wherever_it_is_shown(shown: str) -> None:
    assert "mlcanary" not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(SECRET, protocol)


@pytest.mark.parametrize(
    "spread",
    [
        copy.copy,
        copy.deepcopy,
        json.dumps,
        vars,
        hash,
        lambda secret: asdict(Holder(secret)),
        lambda secret: {secret},
        lambda secret: TypeAdapter(Any).dump_json(secret),
        lambda secret: Model(secret=secret).model_dump_json(),
    ],
    ids=["copy", "deepcopy", "json", "vars", "hash", "asdict", "set", "pydantic", "model"],
)
def test_it_cannot_be_copied_serialised_or_hashed(spread: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        spread(SECRET)
    assert "mlcanary" not in str(refused.value)


def test_a_log_line_and_a_traceback_do_not_hold_it(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError(SECRET)
    logging.getLogger("test").error("failed with %s", SECRET, exc_info=error)
    assert "failed with ***" in caplog.text
    assert "mlcanary" not in caplog.text
    assert "mlcanary" not in "".join(traceback.format_exception(error))


@given(st.text(), st.text())
def test_secrets_are_compared_by_what_they_hold(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert bool(Secret(one)) is bool(one)


def test_a_secret_is_not_equal_to_its_text() -> None:
    text: object = VALUE
    assert text != SECRET
    assert SECRET.__eq__(VALUE) is NotImplemented


def test_bug_comparing_half_a_surrogate_pair_raised() -> None:
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret("\udfff")


def test_nothing_can_be_hung_on_a_secret() -> None:
    with pytest.raises(AttributeError):
        SECRET.note = VALUE  # type: ignore[attr-defined]
