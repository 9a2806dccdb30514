"""Every statement on the rollups, and those that count other slices' rows into them."""

from numberdesk.reports.sql._count import *  # noqa: F403 - one catalogue in several files
from numberdesk.reports.sql._due import *  # noqa: F403
from numberdesk.reports.sql._read import *  # noqa: F403
