"""Every statement on the tables of the orders slice."""

from numberdesk.orders.sql._moves import *  # noqa: F403 - one catalogue in three files
from numberdesk.orders.sql._passes import *  # noqa: F403
from numberdesk.orders.sql._reads import *  # noqa: F403
