"""What the database server says of itself: how it is set up, who we are there, and its clock."""

from numberdesk.base.db import APP_ROLE, Tx, one
from numberdesk.monitoring.model import Server

__all__ = ["get_server"]


async def get_server(tx: Tx) -> Server:
    """Return how the server is set up."""
    return await one(
        tx,
        Server,
        """
        SELECT current_setting('server_version') AS version,
               current_setting('server_version_num')::int AS version_number,
               current_setting('server_encoding') AS encoding,
               (SELECT datcollate FROM pg_database WHERE datname = current_database()) AS collation,
               current_setting('max_connections')::int
                   - current_setting('superuser_reserved_connections')::int AS connections_max,
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS connections,
               pg_database_size(current_database()) AS bytes,
               current_setting('archive_mode') <> 'off' AS is_archiving,
               (SELECT last_archived_time FROM pg_stat_archiver) AS archived_at,
               (SELECT last_failed_time FROM pg_stat_archiver) AS archive_failed_at,
               session_user::text AS login,
               EXISTS (SELECT FROM pg_roles WHERE rolname = session_user AND rolsuper) AS is_superuser,
               EXISTS (SELECT FROM pg_class WHERE relname = 'postings' AND relnamespace = 'public'::regnamespace
                       AND pg_has_role(session_user, relowner, 'MEMBER')) AS owns_ledger,
               pg_has_role(session_user, $1, 'MEMBER') AS is_member,
               clock_timestamp() AS now
        """,
        APP_ROLE,
    )
