"""What a check says: how it stands, in a line, and the command or setting that mends it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    """It works, but somebody should look."""
    BAD = "bad"


class Finding(BaseModel):
    """One line of the doctor's."""

    model_config = ConfigDict(frozen=True)

    check: str
    verdict: Verdict
    said: str
    mend: str | None = None
    """How it is mended; there is none where nothing is wrong, and always one where something is."""


def ok(check: str, said: str) -> Finding:
    """As it should be."""
    return Finding(check=check, verdict=Verdict.OK, said=said)


def warn(check: str, said: str, mend: str) -> Finding:
    """Worth a look."""
    return Finding(check=check, verdict=Verdict.WARN, said=said, mend=mend)


def bad(check: str, said: str, mend: str) -> Finding:
    """To be mended."""
    return Finding(check=check, verdict=Verdict.BAD, said=said, mend=mend)
