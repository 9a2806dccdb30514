"""What the tests of the protocol may ask for: a running site with a provider, and bots with money."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.compat.bot import Bot
from tests.http import stand as stands
from tests.http.stand import Stand


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site with one provider that sells and delivers when told to; its limits are off."""
    with stands.opened(portal, cluster, rate_limit_protocol="off") as stand:
        yield stand


@pytest.fixture
def alice(stand: Stand) -> Bot:
    """A new customer with a thousand rupees."""
    return Bot(stand.customer())


@pytest.fixture
def bob(stand: Stand) -> Bot:
    """Another new customer with a thousand rupees."""
    return Bot(stand.customer())
