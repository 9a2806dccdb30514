"""Every statement on the tables of the support slice."""

from numberdesk.support.sql._keeping import *  # noqa: F403 - one catalogue of statements
from numberdesk.support.sql._messages import *  # noqa: F403
from numberdesk.support.sql._tickets import *  # noqa: F403
