"""Whether this process lives, and whether it can work."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from storage import schema
from storage.database import Database


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

    @router.get("/readyz")
    async def ready() -> Health:
        """Its database answers, and has the shape it needs."""
        await schema.check(database)
        return Health()

    return router
