"""Every statement on the tables of the payments slice."""

from numberdesk.payments.sql._bank import *  # noqa: F403 - one catalogue in several files
from numberdesk.payments.sql._chain import *  # noqa: F403
from numberdesk.payments.sql._claims import *  # noqa: F403
from numberdesk.payments.sql._gateways import *  # noqa: F403
from numberdesk.payments.sql._receipts import *  # noqa: F403
from numberdesk.payments.sql._recharges import *  # noqa: F403
from numberdesk.payments.sql._reports import *  # noqa: F403
from numberdesk.payments.sql._review import *  # noqa: F403
from numberdesk.payments.sql._sealed import *  # noqa: F403
from numberdesk.payments.sql._search import *  # noqa: F403
from numberdesk.payments.sql._settle import *  # noqa: F403
