"""Every statement on alerts and on what is watched of our money with providers."""

from collections.abc import Sequence

from numberdesk.base.db import Tx, many, run, value
from numberdesk.providers.model import Alert, AlertKind, ProviderId


async def open_alert(tx: Tx, *, provider_id: ProviderId, kind: AlertKind, detail: str) -> bool:
    """Open an alert, or refresh the open one; True if it is new."""
    return bool(
        await value(
            tx,
            """
            INSERT INTO provider_alerts AS old (provider_id, kind, detail) VALUES ($1, $2, $3)
            ON CONFLICT (provider_id, kind) WHERE closed_at IS NULL
            DO UPDATE SET detail = excluded.detail, seen_at = clock_timestamp()
            RETURNING xmax = 0
            """,
            provider_id,
            kind,
            detail,
        )
    )


async def close_alert(tx: Tx, *, provider_id: ProviderId, kind: AlertKind) -> bool:
    """Close the open alert; False if none was open."""
    statement = """
        UPDATE provider_alerts SET closed_at = clock_timestamp()
        WHERE provider_id = $1 AND kind = $2 AND closed_at IS NULL
        """
    return await run(tx, statement, provider_id, kind) == 1


async def list_alerts(tx: Tx, *, provider_id: ProviderId | None, open_only: bool, limit: int) -> list[Alert]:
    """Return alerts, the newest first; open ones of all time, or closed ones too."""
    query = """
        SELECT a.*, p.name AS provider FROM provider_alerts a JOIN providers p ON p.id = a.provider_id
        WHERE ($1::smallint IS NULL OR a.provider_id = $1) AND (NOT $2 OR a.closed_at IS NULL)
        ORDER BY a.id DESC LIMIT $3
        """
    return await many(tx, Alert, query, provider_id, open_only, limit)


async def lease_news(tx: Tx, *, limit: int) -> list[Alert]:
    """Return alerts that staff do not know of yet, or not that they are over, and lock them."""
    query = """
        SELECT a.*, p.name AS provider FROM provider_alerts a JOIN providers p ON p.id = a.provider_id
        WHERE a.told_at IS NULL OR (a.closed_at IS NOT NULL AND a.over_told_at IS NULL)
        ORDER BY a.id LIMIT $1
        FOR NO KEY UPDATE OF a SKIP LOCKED
        """
    return await many(tx, Alert, query, limit)


async def set_told(tx: Tx, *, alert_ids: Sequence[int]) -> None:
    """Write down that staff were told what stands in the rows now."""
    statement = """
        UPDATE provider_alerts
        SET told_at = coalesce(told_at, clock_timestamp()),
            over_told_at = CASE WHEN closed_at IS NOT NULL THEN clock_timestamp() END
        WHERE id = ANY($1::bigint[])
        """
    await run(tx, statement, alert_ids)
