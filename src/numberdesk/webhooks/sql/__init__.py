"""Every statement on the tables of the webhooks slice."""

from numberdesk.webhooks.sql._deliveries import *  # noqa: F403 - one catalogue of statements
from numberdesk.webhooks.sql._endpoints import *  # noqa: F403
