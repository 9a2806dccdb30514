"""Every statement of the conduct slice."""

from numberdesk.conduct.sql._lawful import *  # noqa: F403 - one catalogue in several files
from numberdesk.conduct.sql._limits import *  # noqa: F403
from numberdesk.conduct.sql._links import *  # noqa: F403
from numberdesk.conduct.sql._shared import *  # noqa: F403
