"""Statements on messages and pictures."""

from numberdesk.base.db import Tx, many, maybe, one, rows, value
from numberdesk.support.model import Attachment, AttachmentId, Image, Message, MessageKind, TicketId
from numberdesk.wallet.model import AccountId


async def find_request(tx: Tx, author_id: AccountId, request_key: str) -> Message | None:
    """Return the message that somebody wrote with an Idempotency-Key."""
    query = "SELECT * FROM ticket_messages WHERE author_id = $1 AND request_key = $2"
    return await maybe(tx, Message, query, author_id, request_key)


async def insert_message(
    tx: Tx, ticket_id: TicketId, ordinal: int, kind: MessageKind, author_id: AccountId, *, body: bytes,
    request_key: str | None,
) -> Message:  # fmt: skip
    """Append a message to a ticket."""
    return await one(
        tx,
        Message,
        """
        INSERT INTO ticket_messages (ticket_id, ordinal, kind, author_id, body, request_key)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING *
        """,
        ticket_id,
        ordinal,
        kind,
        author_id,
        body,
        request_key,
    )


async def list_messages(tx: Tx, ticket_id: TicketId, *, with_notes: bool, limit: int) -> list[Message]:
    """Return the messages of a ticket, oldest first."""
    return await many(
        tx,
        Message,
        "SELECT * FROM ticket_messages WHERE ticket_id = $1 AND ($2 OR kind <> 'note') ORDER BY ordinal LIMIT $3",
        ticket_id,
        with_notes,
        limit,
    )


async def list_attachments(tx: Tx, ticket_id: TicketId) -> list[Attachment]:
    """Return what pictures a ticket has."""
    return await many(tx, Attachment, "SELECT * FROM ticket_attachments WHERE ticket_id = $1 ORDER BY id", ticket_id)


async def sum_bytes(tx: Tx, *, account_id: AccountId, ticket_id: TicketId) -> tuple[int, int]:
    """Return how many bytes of pictures an account has, and one of its tickets."""
    ((of_account, of_ticket),) = await rows(
        tx,
        """
        SELECT coalesce(sum(bytes), 0)::bigint, coalesce(sum(bytes) FILTER (WHERE ticket_id = $2), 0)::bigint
        FROM ticket_attachments WHERE account_id = $1
        """,
        account_id,
        ticket_id,
    )
    return of_account, of_ticket


async def next_attachment_id(tx: Tx) -> AttachmentId:
    """Take the id of a new picture: it is sealed to it."""
    return AttachmentId(await value(tx, "SELECT nextval(pg_get_serial_sequence('ticket_attachments', 'id'))"))


async def insert_attachment(
    tx: Tx, attachment_id: AttachmentId, message: Message, image: Image, *, sealed: bytes
) -> None:
    """Add a picture to a message of its customer's."""
    await value(
        tx,
        """
        INSERT INTO ticket_attachments (id, ticket_id, ordinal, account_id, type, bytes, width, height, content)
        OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id
        """,
        attachment_id,
        message.ticket_id,
        message.ordinal,
        message.author_id,
        image.type,
        len(image.content),
        image.width,
        image.height,
        sealed,
    )


async def find_attachment(
    tx: Tx, ticket_id: TicketId, attachment_id: AttachmentId, account_id: AccountId | None
) -> tuple[Attachment, bytes] | None:
    """Return a picture of a ticket of this account, or of anybody for staff, with its sealed content."""
    found = await maybe(
        tx,
        Attachment,
        """
        SELECT attachment.* FROM ticket_attachments AS attachment
        JOIN tickets AS ticket ON ticket.id = attachment.ticket_id
        WHERE attachment.id = $1 AND ticket.id = $2 AND ($3::bigint IS NULL OR ticket.account_id = $3)
        """,
        attachment_id,
        ticket_id,
        account_id,
    )
    if found is None:
        return None
    content: bytes | None = await value(tx, "SELECT content FROM ticket_attachments WHERE id = $1", attachment_id)
    return None if content is None else (found, content)
