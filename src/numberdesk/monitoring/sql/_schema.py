"""Checks of what the schema itself promises: constraints, append-only triggers, and what the application may do."""

from collections.abc import Sequence

from numberdesk.base.db import APP_ROLE, Tx
from numberdesk.monitoring.sql._found import Found, find

INDEXES = [
    "CREATE UNIQUE INDEX activations_order ON public.activations USING btree (order_id) WHERE (NOT is_former)",
    "CREATE UNIQUE INDEX prolongations_open ON public.prolongations USING btree (order_id)"
    " WHERE (state = ANY (ARRAY['requested'::text, 'unknown'::text]))",
]

__all__ = ["find_lost_constraints", "find_lost_indexes", "find_lost_triggers", "find_rights"]


async def find_lost_constraints(tx: Tx, constraints: Sequence[tuple[str, str]]) -> Found:
    """Constraints, as (table, definition), that are not there, not valid or not enforced."""
    return await find(
        tx,
        """
        SELECT format('table %s lacks %s', wanted.name, wanted.definition), count(*) OVER ()
        FROM unnest($2::text[], $3::text[]) AS wanted (name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_constraint LEFT JOIN pg_index ON indexrelid = conindid AND conindid <> 0
            WHERE conrelid = to_regclass(wanted.name) AND pg_get_constraintdef(pg_constraint.oid) = wanted.definition
              AND convalidated AND coalesce(indisvalid AND indisunique, contype = 'c'))
        ORDER BY wanted.name, wanted.definition LIMIT $1
        """,
        [table for table, _ in constraints],
        [definition for _, definition in constraints],
    )


async def find_lost_indexes(tx: Tx) -> Found:
    """Unique indexes that are not there or not valid: those that no constraint stands for."""
    return await find(
        tx,
        """
        SELECT 'there is no ' || definition, count(*) OVER () FROM unnest($2::text[]) AS wanted (definition)
        WHERE NOT EXISTS (SELECT FROM pg_index
                          WHERE indisunique AND indisvalid AND pg_get_indexdef(indexrelid) = wanted.definition)
        ORDER BY definition LIMIT $1
        """,
        INDEXES,
    )


async def find_lost_triggers(tx: Tx) -> Found:
    """Tables of the ledger whose rows a trigger no longer protects, partitions included."""
    # Bits of tgtype: row 1, before 2, delete 8, update 16, truncate 32.
    return await find(
        tx,
        """
        SELECT format('table %s: nothing refuses to %s it', wanted.oid::regclass, wanted.change), count(*) OVER ()
        FROM (
            SELECT pg_class.oid, relname, change, bits FROM pg_class,
                   (VALUES ('update', 19), ('delete', 11), ('truncate', 34)) AS protection (change, bits)
            WHERE relnamespace = 'public'::regnamespace AND (
                relname IN ('postings', 'entries')
                OR (change <> 'truncate' AND pg_class.oid IN (
                    SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('entries'))))
        ) AS wanted
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE tgrelid = wanted.oid AND tgenabled IN ('O', 'A') AND tgtype & bits = bits AND tgqual IS NULL
              AND cardinality(tgattr) = 0 AND proname = 'refuse_change' AND prosrc LIKE '%RAISE EXCEPTION%')
        ORDER BY relname, bits LIMIT $1
        """,
    )


async def find_rights(tx: Tx) -> Found:
    """What the application may do to the ledger beyond reading and adding."""
    return await find(
        tx,
        """
        SELECT sentence, count(*) OVER () FROM (
            SELECT format('role %s may %s %s', rolname, lower(change), ledger.oid::regclass) AS sentence
            FROM pg_roles, pg_class AS ledger, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS change
            WHERE rolname = $2 AND relnamespace = 'public'::regnamespace
              AND (relname IN ('postings', 'entries')
                   OR ledger.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('entries')))
              AND (has_table_privilege(pg_roles.oid, ledger.oid, change)
                   OR (change = 'UPDATE' AND has_any_column_privilege(pg_roles.oid, ledger.oid, change)))
            UNION ALL
            SELECT format('there is no role %s', $2::text) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $2)
        ) AS wrong
        ORDER BY sentence LIMIT $1
        """,
        APP_ROLE,
    )
