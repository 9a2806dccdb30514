"""The protocols of others that are spoken here, for the top to open."""

from numberdesk.base.calls import Door, Gate
from numberdesk.compat._door import HandlerApiDoor
from numberdesk.compat.five_sim import FiveSimDoor
from numberdesk.orders.service import Desk


def doors(desk: Desk, gate: Gate) -> list[Door]:
    """Return what answers below the paths of other services.

    Args:
        gate: counts callers in the limit of protocols, and strangers by their network.
    """
    return [HandlerApiDoor(desk, gate), FiveSimDoor(desk, gate)]
