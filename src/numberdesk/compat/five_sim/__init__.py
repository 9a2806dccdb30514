"""5sim's API, version 1, as its clients speak it: `/v1/guest/*` and `/v1/user/*`, over our orders and catalogue.

Clients take the content type for exactly `application/json`, and know errors by their bare texts. What 5sim has and
we do not: hosting without a service, reuse of a number, a rating that changes, ceilings kept in the account, and the
side of vendors.
"""

from numberdesk.compat.five_sim._door import FiveSimDoor

__all__ = ["FiveSimDoor"]
