"""Every statement on the tables of the providers slice."""

from numberdesk.providers.sql._books import *  # noqa: F403
from numberdesk.providers.sql._gate import *  # noqa: F403
from numberdesk.providers.sql._hooks import *  # noqa: F403
from numberdesk.providers.sql._money import *  # noqa: F403
from numberdesk.providers.sql._rows import *  # noqa: F403
from numberdesk.providers.sql._spending import *  # noqa: F403
