"""The stage of the payments tests; its books are checked at the end of each."""

from collections.abc import AsyncIterator

import pytest

from numberdesk.base.db import Database
from numberdesk.monitoring import service as monitoring
from tests.payments.stage import Stage, open_stage


@pytest.fixture
async def stage(db: Database) -> AsyncIterator[Stage]:
    """A till with an open UPI address and customers."""
    yield await open_stage(db)
    wrong = [(check.name, check.wrong) for check in await monitoring.verify(db) if not check.ok]
    assert not wrong
