"""The second sink's outlet: writes sealed credentials that could not be written at the time.

Tried for ever: the envelope is in Temporal's history, so nothing is lost while the database is
away, and the workflow neither refreshes nor continues as new before this has answered.
"""

from temporalio import activity

from activities.exchanges import commit, current_standing
from activities.holding import beating
from activities.payloads import StoreCredentials, Stored
from activities.resources import Resources
from storage.credentials import Committed, reason_lost


class CredentialStore:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    @beating
    async def store_credentials(self, request: StoreCredentials) -> Stored:
        """Commit an envelope: as the next generation, or as an orphan if it comes too late.

        Raises:
            Unreachable: the database is still away; tried again.
        """
        committed = await commit(self._resources, request.envelope)
        if committed is Committed.UNREADABLE:
            activity.logger.warning("credentials arrived after their data key had been shredded")
        return Stored(
            counted=committed is Committed.STORED,
            reason=reason_lost(request.envelope),
            standing=await current_standing(self._resources, request.connection_id),
        )
