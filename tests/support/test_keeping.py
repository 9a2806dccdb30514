"""Tickets at rest and with time: sealed everywhere, closed after silence, forgotten later, sealed with new keys."""

from typing import Any

from cryptography.fernet import Fernet

from numberdesk.base.crypto import Vault, WrongKey
from numberdesk.base.db import rows
from numberdesk.support import jobs, service
from tests.http.stand import Client, Stand
from tests.support.counter import PNG, STAFF, TICKETS, answered, base64_of, opened, shown, thread, version, write


def age(stand: Stand, ticket_id: int, days: int) -> None:
    """Let so many days pass for a ticket."""
    stand.change(
        "UPDATE tickets SET active_at = active_at - make_interval(days => $2), "
        "ended_at = ended_at - make_interval(days => $2) WHERE id = $1",
        ticket_id,
        days,
    )


def close_silent(stand: Stand) -> int:
    return stand.portal.call(jobs.close_silent, stand.site.help_desk)


def purge(stand: Stand) -> int:
    return stand.portal.call(jobs.purge, stand.site.help_desk)


def everything(stand: Stand) -> str:
    """Return every row of every table in words."""

    async def work() -> str:
        found = []
        async with stand.site.db.statement() as tx:
            tables: list[Any] = await rows(
                tx,
                "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind = 'r' AND n.nspname = 'public' AND has_table_privilege(c.oid, 'SELECT')",
            )
            for (table,) in tables:
                found += [str(record) for record in await tx._connection.fetch(f"SELECT * FROM {table}")]
        return "\n".join(found)

    return stand.portal.call(work)


def test_no_word_of_a_ticket_stands_in_the_database(stand: Stand, alice: Client, ravi: Client) -> None:
    ticket_id = opened(alice, subject="Kingfisher-one", text="Kingfisher-two", attachments=[base64_of(PNG)])
    write(alice, ticket_id, "Kingfisher-three", Idempotency_Key="kingfishers")
    answered(ravi, ticket_id, "Kingfisher-four")
    ravi.post(f"{STAFF}/{ticket_id}/note", {"text": "Kingfisher-five"}, Idempotency_Key="kingfishers")
    seen = everything(stand)
    assert len(seen) > 10_000
    assert "Kingfisher" not in seen
    assert repr(PNG)[2:40] not in seen


def test_a_ticket_that_waits_for_its_customer_is_closed_in_the_end(stand: Stand, alice: Client, ravi: Client) -> None:
    made = {state: opened(alice) for state in ("open", "answered", "waiting", "solved")}
    for state in ("answered", "waiting", "solved"):
        answered(ravi, made[state], state=state)
    for ticket_id in made.values():
        age(stand, ticket_id, 6)
    assert close_silent(stand) == 0
    for ticket_id in made.values():
        age(stand, ticket_id, 1)
    close_silent(stand)
    assert {state: shown(alice, ticket_id)["state"] for state, ticket_id in made.items()} == {
        "open": "open", "answered": "closed", "waiting": "closed", "solved": "closed",
    }  # fmt: skip
    assert ravi.get(f"{STAFF}/{made['waiting']}").data["ticket"]["endedBy"] == "silence"
    assert alice.post(f"{TICKETS}/{made['waiting']}/reopen", {}).data["state"] == "open"


def test_words_are_forgotten_long_after_the_end(stand: Stand, alice: Client, ravi: Client) -> None:
    kept, gone, running = (opened(alice, attachments=[base64_of(PNG)]) for _ in range(3))
    picture = thread(alice, gone)[0]["attachments"][0]["id"]
    for ticket_id, days in ((kept, 179), (gone, 181)):
        alice.post(f"{TICKETS}/{ticket_id}/close", {})
        age(stand, ticket_id, days)
    age(stand, running, 400)
    purge(stand)
    assert purge(stand) == 0
    assert thread(alice, kept)[0]["text"]
    assert thread(alice, running)[0]["text"]
    detail = alice.get(f"{TICKETS}/{gone}").data
    assert (detail["ticket"]["subject"], detail["messages"][0]["text"]) == (None, None)
    assert detail["messages"][0]["attachments"] == []
    assert alice.get(f"{TICKETS}/{gone}/attachments/{picture}").refusal == (404, "not_found")
    assert stand.ask("SELECT count(*) FROM ticket_messages WHERE ticket_id = $1 AND body IS NOT NULL", gone) == 0
    assert alice.post(f"{TICKETS}/{gone}/reopen", {}).refusal == (409, "ticket_closed")
    answer = ravi.post(f"{STAFF}/{gone}/state", {"state": "open", "version": version(ravi, gone)})
    assert answer.refusal == (409, "ticket_purged")
    assert ravi.post(f"{STAFF}/{gone}/note", {"text": "x"}).refusal == (409, "ticket_purged")


def test_a_change_of_keys_seals_all_anew(stand: Stand, alice: Client) -> None:
    ticket_id = opened(alice, attachments=[base64_of(PNG)])
    old, desk = stand.site.settings.encryption_keys, stand.site.help_desk
    assert old is not None
    new = Fernet.generate_key().decode()
    both = Vault([new, old.get_secret_value()])
    assert stand.portal.call(lambda: service.reseal(desk.db, both, limit=2)) >= 3
    assert stand.portal.call(lambda: service.reseal(desk.db, both, limit=2)) == 0
    assert thread(alice, ticket_id)[0]["text"] == "(This cannot be read at the moment.)"
    assert stand.portal.call(lambda: service.reseal(desk.db, Vault([old.get_secret_value(), new]), limit=2)) >= 3
    assert thread(alice, ticket_id)[0]["text"].startswith("The code")


def test_a_sealed_picture_opens_in_its_own_place_only() -> None:
    vault = Vault([Fernet.generate_key().decode()])
    sealed = vault.seal_bytes(PNG, about="a:1")
    assert vault.open_bytes(sealed, about="a:1") == PNG
    for other, about in ((vault, "a:2"), (vault, "a"), (Vault([Fernet.generate_key().decode()]), "a:1")):
        try:
            other.open_bytes(sealed, about=about)
        except WrongKey:
            continue
        raise AssertionError(about)
