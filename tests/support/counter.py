"""What the tests of support share: who writes, who answers, what they send, and what they were told."""

import base64
import json
import zlib
from itertools import count
from pathlib import Path
from typing import Any

from numberdesk.accounts import service as accounts
from numberdesk.accounts.model import Role
from numberdesk.base.db import rows
from tests.http.stand import PEPPER, Client, Stand

TICKETS, STAFF = "/support/tickets", "/admin/tickets"
WORDS = {"subject": "No code came", "text": "The code 73519 came twice.\nWhat now?"}
MISSING = 987654321
DATA = Path(__file__).parent / "data"
PNG, JPEG, WEBP = ((DATA / f"five_by_three.{kind}").read_bytes() for kind in ("png", "jpeg", "webp"))

_numbers = count(1)


def staff(stand: Stand, role: Role = "support") -> Client:
    """Return a member of the staff with a second factor, who shows a key."""
    return stand.portal.call(_staff, stand, role)


async def _staff(stand: Stand, role: Role) -> Client:
    site, number = stand.site, next(_numbers)
    async with site.db.transaction() as tx:
        (account_id,) = await accounts.create(tx, emails=[f"{role}{number}@staff.example.com"], names=["Ravi"])
    await accounts.set_role(site.db, account_id, role)
    await accounts.enrol(site.people, account_id, accounts.new_totp_secret())
    async with site.db.transaction() as tx:
        (key,) = await accounts.issue_keys(
            tx, account_ids=[account_id], name="desk", pepper=PEPPER, scopes=("admin:support", "read", "order")
        )
    return Client(stand.port, key.secret, account_id)


def opened(client: Client, **more: object) -> int:
    """Open a ticket and return its id."""
    answer = client.post(TICKETS, WORDS | more).data
    assert answer["isNew"] is True
    return int(answer["ticket"]["id"])


def write(client: Client, ticket_id: int, text: str = "Still nothing.", **headers: str) -> Any:
    return client.post(f"{TICKETS}/{ticket_id}/messages", {"text": text}, **headers)


def answered(member: Client, ticket_id: int, text: str = "We look into it.", **more: object) -> Any:
    return member.post(f"{STAFF}/{ticket_id}/reply", {"text": text} | more).data["ticket"]


def thread(client: Client, ticket_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{TICKETS}/{ticket_id}").data["messages"]
    return found


def shown(client: Client, ticket_id: int) -> dict[str, Any]:
    """Return a ticket as its list shows it."""
    (found,) = [item for item in client.get(TICKETS).data["items"] if item["id"] == ticket_id]
    return dict(found)


def version(member: Client, ticket_id: int) -> int:
    return int(member.get(f"{STAFF}/{ticket_id}").data["ticket"]["version"])


def told(stand: Stand, ticket_id: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the mails about a ticket that wait: template, address and what they say."""

    async def work() -> list[tuple[Any, ...]]:
        async with stand.site.db.statement() as tx:
            return await rows(
                tx,
                "SELECT template, dedupe_key, payload FROM outbox WHERE dedupe_key LIKE 'ticket\\_%:' || $1 || ':%' "
                "ORDER BY id",
                str(ticket_id),
            )

    found = []
    for template, key, payload in stand.portal.call(work):
        letter = json.loads(stand.site.vault.open(payload, about=f"outbox:{key}"))
        found.append((template, letter["to"], letter["data"]))
    return found


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return len(content).to_bytes(4, "big") + kind + content + check.to_bytes(4, "big")


def png(size: int = 0, *, width: int = 5, height: int = 3) -> bytes:
    """Return a PNG of at least so many bytes, by a comment in it."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress(bytes((1 + 5 * 3) * 3))
    parts = [chunk(b"IHDR", header), chunk(b"tEXt", b"Comment\0" + b"x" * size), chunk(b"IDAT", pixels)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")
