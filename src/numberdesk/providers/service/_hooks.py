"""Where a provider posts its messages: an address with a token that only it and staff know, and how it is read.

Protocols of providers sign nothing, so the address is the proof. The token is stored sealed, to be shown to staff
again, and hashed, to be found.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Final

from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.providers import sql
from numberdesk.providers.adapters import ADAPTERS
from numberdesk.providers.model import Provider, ProviderId, Pushed
from numberdesk.providers.service._lines import Lines

TOKEN_BYTES: Final = 24
PUSH_BODY_MAX: Final = 64 * 1024


async def hook_path(db: Database, vault: Vault, provider: Provider, *, is_new: bool = False) -> str:
    """Return the path to which a provider posts its messages; the first call makes the token.

    Args:
        is_new: make another token; the one before ends at once.
    """
    async with db.transaction() as tx:
        sealed = await sql.lock_hook(tx, provider_id=provider.id)
        if sealed is None or is_new:
            token = secrets.token_urlsafe(TOKEN_BYTES)
            sealed = vault.seal(token, about=_about(provider.id))
            await sql.set_hook(tx, provider_id=provider.id, token_sealed=sealed, token_hash=_hash(token))
        else:
            token = vault.open(sealed, about=_about(provider.id))
    return f"/webhooks/provider/{provider.name}/{token}"


async def find_hook(db: Database, *, name: str, token: str) -> Provider | None:
    """Return who posts under this name and token; a wrong name takes as long as a wrong token."""
    async with db.statement() as tx:
        return await sql.find_by_hook(tx, name=name, token_hash=_hash(token))


def read_push(lines: Lines, provider: Provider, body: bytes) -> tuple[Pushed, ...] | None:
    """Return the messages that a provider posted; None when the body is none of its protocol or has a wrong key."""
    found = ADAPTERS[provider.kind].pushed(body)
    if found is None:
        return None
    line = lines.by_id.get(provider.id)
    for item in found:
        if item.key is not None and (line is None or not hmac.compare_digest(item.key.encode(), line.api_key.encode())):
            return None
    return found


def push_taken(provider: Provider) -> bytes:
    """Return what tells a provider that its message was taken."""
    return ADAPTERS[provider.kind].PUSH_TAKEN


async def reseal_hooks(db: Database, vault: Vault) -> int:
    """Seal every token with the newest encryption key; returns how many were changed."""
    changed = 0
    async with db.transaction() as tx:
        for provider_id, sealed, token_hash in await sql.list_sealed_hooks(tx):
            if not vault.is_newest(sealed):
                again = vault.renewed(sealed, about=_about(provider_id))
                await sql.set_hook(tx, provider_id=provider_id, token_sealed=again, token_hash=token_hash)
                changed += 1
    return changed


def _about(provider_id: ProviderId) -> str:
    return f"providers.hook_token:{provider_id}"


def _hash(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()
