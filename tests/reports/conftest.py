"""What the tests of reports may ask for."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from numberdesk.base.db import Database
from tests import postgres
from tests.catalogue.market import Market, open_market
from tests.reports.books import Books, open_books


@pytest.fixture
async def market(db: Database) -> Market:
    """A small catalogue with two providers."""
    return await open_market(db)


@pytest.fixture
async def backstage(admin_url: str) -> AsyncIterator[Any]:
    """A superuser's connection that may change what is append-only."""
    connection = await postgres.connect_cleaner(admin_url)
    yield connection
    await connection.close()


@pytest.fixture
async def books(market: Market, backstage: Any) -> Books:
    """A customer with much money, and his sandbox."""
    return await open_books(market, backstage, 20261127)
