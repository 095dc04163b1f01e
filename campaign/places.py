"""A place in the code, before or after one function's call, and what stands there now."""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple, Self

_FORM = re.compile(
    r"(?P<side>before|after) (?P<module>[\w.]+):(?P<name>[\w.]+)( #(?P<nth>[1-9]\d*))?"
)


class Owned(NamedTuple):
    """A function, and where it is looked up: in a module or in a class."""

    owner: ModuleType | type
    attribute: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class Place:
    """A function is called or has returned, the nth time: ``after storage.claims:take #2``."""

    side: Literal["before", "after"]
    module: str
    name: str
    nth: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it as it is written.

        Raises:
            ValueError: it is not written so.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"not a place: {text!r}")
        side: Literal["before", "after"] = "before" if found["side"] == "before" else "after"
        return cls(side, found["module"], found["name"], int(found["nth"] or 1))

    def __str__(self) -> str:
        nth = f" #{self.nth}" if self.nth > 1 else ""
        return f"{self.side} {self.module}:{self.name}{nth}"

    def resolve(self) -> Owned:
        """The function that stands there.

        Raises:
            LookupError: nothing does, or no function of this module.
        """
        try:
            owner: Any = importlib.import_module(self.module)
            *classes, attribute = self.name.split(".")
            for each in classes:
                owner = vars(owner)[each]
            function = vars(owner)[attribute]
        except (ImportError, KeyError) as error:
            raise LookupError(f"there is no {self.module}:{self.name}") from error
        if not callable(function) or getattr(function, "__module__", None) != self.module:
            raise LookupError(f"{self.module}:{self.name} is no function that is defined there")
        return Owned(owner, attribute, function)
