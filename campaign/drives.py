"""Which drive leads to an operation's points."""

from campaign.authorizing import Authorizing
from campaign.driving import Drive
from campaign.ending import Disconnecting, DisconnectingInARefresh, Revoking
from campaign.points import Operation
from campaign.renewing import Refreshing, RefreshingInAnOutage, Storing
from campaign.rewrapping import Rewrapping
from campaign.syncing import Syncing

DRIVES: dict[Operation, type[Drive]] = {
    Operation.REFRESH: Refreshing,
    Operation.OUTAGE: RefreshingInAnOutage,
    Operation.STORE: Storing,
    Operation.AUTHORIZE: Authorizing,
    Operation.REVOKE: Revoking,
    Operation.DISCONNECT: Disconnecting,
    Operation.END_IN_REFRESH: DisconnectingInARefresh,
    Operation.SYNC: Syncing,
    Operation.REWRAP: Rewrapping,
}
