"""What users give us as it is: whether it is good, why not, and when it ends.

Only a 401 of the provider's own, or a 403 that it words as JSON, says that it is not good; a page
of a proxy, a bare 403 of a firewall, or an outage says nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from domain.outcomes import Outcome
from domain.secret import Secret
from domain.words import GIVEN
from providers.classifier import Answer, asked_to_wait
from providers.entries_given import GivenEntry
from providers.token_answers import parse_object
from providers.transport import NoReply, Reply


class GivenRefusal(NamedTuple):
    """Why something is not to be used; ``passes``: not now, and it may be good all the same."""

    message: str
    passes: bool = False


class Given(Protocol):
    """How one provider is asked about what its users give. All parts it needs must be there."""

    async def verify(self, secret: Mapping[str, Secret], *, within: timedelta) -> Answer:
        """Whether it is good: ``VERIFIED``, ``KEY_REFUSED``, or an outcome that passes."""
        ...

    async def refusal_of(
        self, secret: Mapping[str, Secret], *, within: timedelta
    ) -> GivenRefusal | None:
        """Why it is not to be used, for the person who brings it; None if it is good."""
        ...

    def ends_at(self, secret: Mapping[str, Secret]) -> datetime | None:
        """Its own end; None if it says nothing of one."""
        ...


def judged(reply: Reply | NoReply) -> Answer:
    """What the answer to a question for nothing says of what was shown with it."""
    if isinstance(reply, NoReply):
        return Answer(Outcome.KEY_REFUSED if reply.refused else Outcome.TRANSIENT)
    retry_after = asked_to_wait(reply.headers)
    if 200 <= reply.status < 300 and not reply.is_page:
        outcome = Outcome.VERIFIED
    elif _refuses(reply):
        outcome = Outcome.KEY_REFUSED
    elif reply.status == 429:
        outcome = Outcome.RATE_LIMITED
    else:
        outcome = Outcome.TRANSIENT
    return Answer(outcome, retry_after=retry_after, status=reply.status)


def refusal(entry: GivenEntry, answer: Answer) -> GivenRefusal | None:
    """The same for the person who brings it; None if it is good."""
    what = f"this {GIVEN[entry.credential_type]}"
    match answer.outcome:
        case Outcome.VERIFIED:
            return None
        case Outcome.KEY_REFUSED:
            return GivenRefusal(f"{entry.name} does not take {what}")
        case _:
            said = f"{entry.name} cannot say now whether {what} is good; try again later"
            return GivenRefusal(said, passes=True)


def _refuses(reply: Reply) -> bool:
    if reply.status == 403:
        return parse_object(reply.body, reply.headers.get("content-type", "")) is not None
    return reply.status == 401 and not reply.is_page
