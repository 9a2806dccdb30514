"""Every statement on the tables of the orders slice."""

from numberdesk.orders.sql._alarms import *  # noqa: F403 - one catalogue in several files
from numberdesk.orders.sql._events import *  # noqa: F403
from numberdesk.orders.sql._handover import *  # noqa: F403
from numberdesk.orders.sql._inbound import *  # noqa: F403
from numberdesk.orders.sql._moves import *  # noqa: F403
from numberdesk.orders.sql._passes import *  # noqa: F403
from numberdesk.orders.sql._quarantine import *  # noqa: F403
from numberdesk.orders.sql._reads import *  # noqa: F403
from numberdesk.orders.sql._releases import *  # noqa: F403
from numberdesk.orders.sql._rentals import *  # noqa: F403
from numberdesk.orders.sql._staff import *  # noqa: F403
