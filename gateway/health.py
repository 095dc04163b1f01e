"""Whether this process lives, and whether it can work."""

from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.refusals import Documented, documented
from storage import schema
from storage.database import Database

_NOT_READY: Final[Documented] = {503: documented()[503]}


class Health(BaseModel):
    """Said only where all is well; what is not is a problem document."""

    status: Literal["ok"] = "ok"


def health_routes(database: Database) -> APIRouter:
    """``/healthz`` and ``/readyz``, for whoever restarts processes or sends them requests."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def alive() -> Health:
        """It runs."""
        return Health()

    @router.get("/readyz", responses=_NOT_READY)
    async def ready() -> Health:
        """Its database answers, and has the shape it needs."""
        await schema.check(database)
        return Health()

    return router
