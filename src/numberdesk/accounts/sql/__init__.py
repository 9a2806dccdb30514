"""Every statement on the tables of the accounts slice."""

from numberdesk.accounts.sql._accounts import *  # noqa: F403 - one catalogue in several files
from numberdesk.accounts.sql._factors import *  # noqa: F403
from numberdesk.accounts.sql._keys import *  # noqa: F403
from numberdesk.accounts.sql._mail import *  # noqa: F403
from numberdesk.accounts.sql._repeats import *  # noqa: F403
from numberdesk.accounts.sql._sessions import *  # noqa: F403
from numberdesk.accounts.sql._staff import *  # noqa: F403
from numberdesk.accounts.sql._states import *  # noqa: F403
