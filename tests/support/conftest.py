"""What the tests of support may ask for: a running site, customers and staff."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.http import stand as stands
from tests.http.stand import Client, Stand
from tests.support import counter


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site with one provider, whose mails wait."""
    with stands.opened(portal, cluster) as stand:
        yield stand


@pytest.fixture
def alice(stand: Stand) -> Client:
    """A new customer with a thousand rupees."""
    return stand.customer()


@pytest.fixture
def bob(stand: Stand) -> Client:
    """Another new customer with a thousand rupees."""
    return stand.customer()


@pytest.fixture(scope="module")
def ravi(stand: Stand) -> Client:
    """A member of the support."""
    return counter.staff(stand)


@pytest.fixture(scope="module")
def meera(stand: Stand) -> Client:
    """Another member of the support."""
    return counter.staff(stand)
