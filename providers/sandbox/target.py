"""Which call is meant: what is known of one before it is acted on, so what a fault may name.

Nothing in it is verified; it holds names of registered things only, never what a client made up.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

EndpointName = Literal["token", "revoke", "api"]


class Target(BaseModel):
    """A call, or as part of a fault the calls it is for (None: any)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: EndpointName
    client_id: str | None = None
    grant_id: str | None = None
    grant_type: str | None = None

    def covers(self, call: "Target") -> bool:
        wanted = self.model_dump(include=set(Target.model_fields), exclude_none=True)
        return wanted.items() <= call.model_dump().items()
