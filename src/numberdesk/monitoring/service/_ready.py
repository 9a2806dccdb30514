"""Whether a process can work, and whether a worker does."""

from pathlib import Path

from numberdesk.base import migrate
from numberdesk.base.db import Database
from numberdesk.base.errors import Unavailable
from numberdesk.monitoring import sql
from numberdesk.monitoring.model import Readiness
from numberdesk.monitoring.service._pulse import ALIVE_SECONDS


async def readiness(db: Database, *, folder: Path | None = None) -> Readiness:
    """Tell whether this process can work; a database out of reach is an answer, not an error.

    Args:
        folder: the migrations this code was written for; the program's own if left out.
    """
    try:
        await migrate.refuse_unready(db, folder=folder or migrate.folder())
        async with db.statement() as tx:
            overdue = await sql.get_overdue_seconds(tx)
            workers, notices, webhooks = await sql.get_worker_signs(tx, seconds=ALIVE_SECONDS)
    except Unavailable:
        return Readiness(database=False, migrations="unknown", overdue_seconds=0)
    except (migrate.SchemaUnready, migrate.MigrationRefused) as problem:
        return Readiness(database=True, migrations=str(problem), overdue_seconds=0)
    return Readiness(
        database=True, migrations="ok", overdue_seconds=overdue, workers=workers, notices_overdue_seconds=notices,
        webhooks_overdue_seconds=webhooks,
    )  # fmt: skip
