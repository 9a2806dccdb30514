"""The server that unmodified clients of others are run against."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.base.postgres import Cluster
from tests.clients.stage import FEW_CALLS
from tests.http import stand as stands
from tests.http.stand import Stand


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site with one provider and no limit: plays poll without a pause. Numbers are cancelled after two minutes."""
    with stands.opened(portal, cluster, rate_limit_protocol="off") as stand:
        yield stand


@pytest.fixture
def strict(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    """A site that lets through so few calls that polls cannot live on them."""
    with stands.opened(portal, cluster, rate_limit_protocol=FEW_CALLS) as stand:
        yield stand
