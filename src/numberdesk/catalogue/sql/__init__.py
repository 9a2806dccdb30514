"""Every statement on the tables of the catalogue."""

from numberdesk.catalogue.sql._lists import *  # noqa: F403
from numberdesk.catalogue.sql._rentals import *  # noqa: F403
from numberdesk.catalogue.sql._routing import *  # noqa: F403
from numberdesk.catalogue.sql._statistics import *  # noqa: F403
from numberdesk.catalogue.sql._sync import *  # noqa: F403
