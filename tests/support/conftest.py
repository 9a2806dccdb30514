"""What the tests of support may ask for: a running site, customers and staff."""

import pytest

from tests.http.conftest import alice, bob, stand
from tests.http.stand import Client, Stand
from tests.support import counter

__all__ = ["alice", "bob", "stand"]


@pytest.fixture(scope="module")
def ravi(stand: Stand) -> Client:
    """A member of the support."""
    return counter.staff(stand)


@pytest.fixture(scope="module")
def meera(stand: Stand) -> Client:
    """Another member of the support."""
    return counter.staff(stand)
