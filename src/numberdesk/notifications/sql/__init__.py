"""Every statement on the tables of the notifications slice."""

from numberdesk.notifications.sql._choices import *  # noqa: F403 - one catalogue in several files
from numberdesk.notifications.sql._errors import *  # noqa: F403
from numberdesk.notifications.sql._outbox import *  # noqa: F403
from numberdesk.notifications.sql._targets import *  # noqa: F403
