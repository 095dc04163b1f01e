"""Reads `temporal-dev.yml`: the only place where ports, names and server flags of the stack stand.

The services of that file are Docker's business; this module must not read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import StackError

FILE_NAME = "temporal-dev.yml"

Port = Annotated[int, Field(ge=1, le=65535)]
SearchAttributeType = Literal["Text", "Keyword", "Int", "Double", "Bool", "Datetime", "KeywordList"]


def _pairs(lines: object) -> object:
    """`["A=1", "B=2"]`, the form the Temporal command takes, as a mapping."""
    if not isinstance(lines, list):
        raise ValueError("should be a list of NAME=VALUE lines")
    split = [str(line).partition("=") for line in lines]
    if wrong := [name for name, equals, value in split if not (name and equals and value)]:
        raise ValueError(f"{wrong[0]!r} should have the form NAME=VALUE")
    return {name: value for name, _, value in split}


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TemporalFacts(_Facts):
    """What the Temporal dev server is started with."""

    port: Port
    ui_port: Port
    metrics_port: Port
    namespace: str
    task_queue: str
    search_attributes: Annotated[dict[str, SearchAttributeType], BeforeValidator(_pairs)]
    sqlite_pragmas: Annotated[dict[str, str], BeforeValidator(_pairs)]
    dynamic_config: Annotated[dict[str, str], BeforeValidator(_pairs)]


class PostgresFacts(_Facts):
    """Where PostgreSQL listens, and as whom and to what one connects."""

    port: Port
    user: str
    database: str


class ListenerFacts(_Facts):
    """A part of ours of which only the port is fixed here."""

    port: Port


class StackFacts(_Facts):
    """The `x-moorline` block of `temporal-dev.yml`."""

    temporal: TemporalFacts
    postgres: PostgresFacts
    sandbox: ListenerFacts
    gateway: ListenerFacts
    redirect: ListenerFacts

    @classmethod
    def read(cls, path: Path | None = None) -> Self:
        """The facts of `path`, by default of the project's own file."""
        path = path or _find()
        try:
            document: object = yaml.safe_load(path.read_text(encoding="utf-8"))
            return cls.model_validate(_block(document))
        except ValidationError as error:
            raise StackError(f"{path}: {_first_complaint(error)}") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise StackError(f"{path} cannot be read: {error}") from None


def _block(document: object) -> object:
    return document.get("x-moorline", {}) if isinstance(document, dict) else {}


def _candidates() -> Iterable[Path]:
    yield Path(__file__).resolve().parents[2] / FILE_NAME
    yield Path.cwd() / FILE_NAME


def _find() -> Path:
    for path in _candidates():
        if path.is_file():
            return path
    looked = " nor in ".join(str(path.parent) for path in _candidates())
    raise StackError(f"{FILE_NAME} is neither in {looked}; run from a checkout of Moorline")


def _first_complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(["x-moorline", *(str(part) for part in first["loc"])])
    return f"{place}: {first['msg']}"
