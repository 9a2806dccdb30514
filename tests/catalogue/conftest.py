"""What the tests of the catalogue may ask for."""

import pytest

from numberdesk.base.db import Database
from tests.catalogue.market import Market, open_market


@pytest.fixture
async def market(db: Database) -> Market:
    """Two providers with a few offers, and a shelf that knows them."""
    return await open_market(db)
