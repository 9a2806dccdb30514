"""Statements on the tokens under which providers post to us, which stand in the table `providers`."""

from numberdesk.base.db import Tx, maybe, rows, run
from numberdesk.providers.model import Provider, ProviderId


async def find_by_hook(tx: Tx, *, name: str, token_hash: bytes) -> Provider | None:
    """Return the provider of that name if this is its token."""
    return await maybe(
        tx, Provider, "SELECT * FROM providers WHERE name = $1 AND hook_token_hash = $2", name, token_hash
    )


async def lock_hook(tx: Tx, *, provider_id: ProviderId) -> bytes | None:
    """Lock a provider, and return its sealed token if it has one.

    The token's hash is a key of the table, so writing it needs the strongest lock. A weaker one that is raised later
    would wait for somebody who refers to the provider and waits for us.
    """
    found = await rows(tx, "SELECT hook_token_sealed FROM providers WHERE id = $1 FOR UPDATE", provider_id)
    sealed: bytes | None = found[0][0] if found else None
    return sealed


async def set_hook(tx: Tx, *, provider_id: ProviderId, token_sealed: bytes, token_hash: bytes) -> None:
    """Write a provider's token."""
    await run(
        tx,
        "UPDATE providers SET hook_token_sealed = $2, hook_token_hash = $3 WHERE id = $1",
        provider_id,
        token_sealed,
        token_hash,
    )


async def list_sealed_hooks(tx: Tx) -> list[tuple[ProviderId, bytes, bytes]]:
    """Return every sealed token with its hash, and lock the rows."""
    return [
        (ProviderId(row[0]), row[1], row[2])
        for row in await rows(
            tx,
            """
            SELECT id, hook_token_sealed, hook_token_hash FROM providers WHERE hook_token_sealed IS NOT NULL
            ORDER BY id FOR UPDATE
            """,
        )
    ]
