"""The end of a worker, in a process that goes on."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from numberdesk import worker
from numberdesk.base.postgres import Cluster
from tests.http import stand as stands
from tests.http.stand import Stand


@pytest.fixture(scope="module")
def stand(portal: BlockingPortal, cluster: Cluster) -> Iterator[Stand]:
    with stands.opened(portal, cluster) as stand:
        yield stand


def watches() -> "set[asyncio.Task[object]]":
    return {task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "_watch"}


def test_no_watch_is_begun_again_while_the_worker_gives_its_leases_back(stand: Stand) -> None:
    async def work() -> None:
        others = watches()
        admin = await asyncpg.connect(stand.admin_url)
        async with worker.running(stand.site):
            async with asyncio.timeout(10):
                while not watches() - others:  # noqa: ASYNC110 - there is nothing to wait on
                    await asyncio.sleep(0.02)
            # Giving back takes until the statement gives up, which is longer than the pass rests.
            held = admin.transaction()
            await held.start()
            await admin.execute("LOCK TABLE providers")
        await held.rollback()
        await admin.close()
        assert watches() <= others

    stand.portal.call(work)
