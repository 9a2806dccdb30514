"""Every statement of monitoring. They read tables of all slices, in aggregates: rows that are right never travel."""

from numberdesk.monitoring.sql._export import *  # noqa: F403 - one catalogue in several files
from numberdesk.monitoring.sql._facts import *  # noqa: F403 - one catalogue in several files
from numberdesk.monitoring.sql._found import *  # noqa: F403
from numberdesk.monitoring.sql._ledger import *  # noqa: F403
from numberdesk.monitoring.sql._ledger_watch import *  # noqa: F403
from numberdesk.monitoring.sql._orders import *  # noqa: F403
from numberdesk.monitoring.sql._payments import *  # noqa: F403
from numberdesk.monitoring.sql._readiness import *  # noqa: F403
from numberdesk.monitoring.sql._schema import *  # noqa: F403
from numberdesk.monitoring.sql._server import *  # noqa: F403
from numberdesk.monitoring.sql._status import *  # noqa: F403
from numberdesk.monitoring.sql._totals import *  # noqa: F403
