"""What the tests of the wire may ask for: a running site, one for each file of tests."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.http import stand as stands
from tests.http.staff import Member
from tests.http.stand import Client, Stand


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site with one provider that sells and delivers when told to."""
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


@pytest.fixture
def support(stand: Stand) -> Member:
    return Member(stand, "support")


@pytest.fixture
def finance(stand: Stand) -> Member:
    return Member(stand, "finance")


@pytest.fixture
def ops(stand: Stand) -> Member:
    return Member(stand, "ops")


@pytest.fixture
def owner(stand: Stand) -> Member:
    return Member(stand, "owner")
