"""Closing an account for good: owners only, nothing may be left in it, nobody gets in any more, and the books stay."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from numberdesk.accounts import jobs
from numberdesk.accounts import service as accounts
from numberdesk.base.visit import Visit
from numberdesk.monitoring import service as monitoring
from numberdesk.wallet.model import AccountId
from tests.http import stand as stands
from tests.http.staff import Member
from tests.http.stand import PASSWORD, Client, Stand

REASON = "asked for by its owner"


class Person(NamedTuple):
    client: Client
    email: str

    @property
    def account_id(self) -> AccountId:
        return AccountId(self.client.account_id)


@pytest.fixture
def owner(stand: Stand) -> Member:
    return Member(stand, "owner")


def close(stand: Stand, owner: Member, account_id: int) -> stands.Answer:
    stand.portal.call(owner.forget_code)
    return owner.client.post(f"/admin/users/{account_id}/close", {"reason": REASON, "totp": owner.fresh()})


def spent(stand: Stand, name: str) -> Person:
    """Return somebody who bought one number for all his money and got its code."""
    email = f"{name}@closing.example.com"
    person = Person(stand.signed_in(email).client, email)
    stand.credit(person.client, 2_130)
    order_id = stand.received(person.client)
    assert person.client.post("/auth/finish-number", {"orderId": order_id}).data["status"] == "completed"
    return person


def login(stand: Stand, email: str) -> stands.Answer:
    stand.change("DELETE FROM limit_counters")
    return stand.nobody.post("/auth/login", {"email": email, "password": PASSWORD})


def test_an_empty_account_is_closed_and_nobody_gets_in_any_more(stand: Stand, owner: Member) -> None:
    person = spent(stand, "empty")
    key = replace(stand.another_key(person.client), token=None)
    test_key = person.client.post("/user/api-keys", {"name": "test", "mode": "test", "scopes": ["read"]}).data["secret"]
    sandbox = Client(stand.port, key=test_key)
    assert sandbox.get("/user/balance").status == 200
    before = stand.ask("SELECT count(*) FROM entries WHERE account_id = $1", person.account_id)
    assert close(stand, owner, person.account_id).data["state"] == "closed"
    stand.portal.call(stand.site.people.ring.refresh)
    assert key.get("/user/balance").refusal == (401, "bad_api_key")
    assert sandbox.get("/user/balance").refusal == (401, "bad_api_key")
    assert person.client.get("/user/balance").status in (401, 403)
    assert login(stand, person.email).refusal == (401, "bad_credentials")
    # The books and what they are about stay as they were.
    assert stand.ask("SELECT count(*) FROM entries WHERE account_id = $1", person.account_id) == before
    assert stand.ask("SELECT state FROM orders WHERE account_id = $1", person.account_id) == "completed"
    wrong = [check for check in stand.portal.call(monitoring.verify, stand.site.db) if not check.ok]
    assert wrong == []
    (told,) = owner.client.get(f"/admin/audit?account={person.account_id}&action=account_closed").data["items"]
    assert told["actorId"] == owner.account_id
    assert told["details"] == {"before": "active", "keys": 2, "reason": REASON}


def test_nothing_opens_it_again(stand: Stand, owner: Member) -> None:
    person = spent(stand, "again")
    assert close(stand, owner, person.account_id).status == 200
    body = {"state": "active", "reason": "a mistake"}
    assert owner.client.post(f"/admin/users/{person.account_id}/state", body).refusal == (409, "account_closed")
    assert close(stand, owner, person.account_id).refusal == (409, "account_not_closable")
    role = {"role": "support", "totp": owner.fresh()}
    stand.portal.call(owner.forget_code)
    assert owner.client.post(f"/admin/users/{person.account_id}/role", role).refusal == (409, "account_closed")
    assert owner.client.post(f"/admin/users/{person.account_id}/state", body | {"state": "closed"}).status == 400
    # Who registers with the address gets no account and no mail while it is known.
    stand.change("DELETE FROM limit_counters")
    form = {"email": person.email, "password": "another long pass phrase", "name": "Again", "acceptTerms": True}
    assert stand.nobody.post("/auth/register", form).status == 200
    stand.portal.call(jobs.answer_requests, stand.site.people)
    assert stand.ask("SELECT count(*) FROM outbox WHERE account_id = $1 AND template LIKE '%regist%'",
                     person.account_id) == 0  # fmt: skip
    assert login(stand, person.email).refusal == (401, "bad_credentials")


@pytest.mark.parametrize(
    ("left", "word"),
    [
        ("money", "money in the wallet"), ("order", "money that is held, open orders"), ("code", "open orders"),
        ("recharge", "open recharges"), ("request", "requests of the staff"), ("frozen", "is frozen"),
        ("banned", "is banned"), ("role", "of the staff"),
    ],
)  # fmt: skip
def test_an_account_with_something_left_stays_as_it_is(stand: Stand, owner: Member, left: str, word: str) -> None:
    person = stand.signed_in(f"{left}@left.test")
    client, account_id = person.client, person.account_id
    if left in ("order", "code"):
        stand.credit(client, 2_130)
        stand.received(client) if left == "code" else client.buy()
    elif left == "money":
        stand.credit(client, 1)
    elif left == "recharge":
        stand.change(
            "INSERT INTO recharges (ref, account_id, method, rail, status, requested_paise, payable_paise, expires_at)"
            " VALUES ('RCLEFT', $1, 'upi', 'upi_manual', 'submitted', 100, 100, clock_timestamp())",
            account_id,
        )
    elif left == "request":
        stand.change(
            "INSERT INTO money_requests (action, account_id, amount_paise, reason, state, asked_by, request_key)"
            " VALUES ('credit', $1, 100, 'a test', 'waiting', $2, 'left')",
            account_id,
            owner.account_id,
        )
    elif left == "role":
        stand.change("UPDATE accounts SET role = 'support' WHERE id = $1", account_id)
    else:
        stand.change("UPDATE accounts SET state = $2 WHERE id = $1", account_id, left)
    refused = close(stand, owner, account_id)
    assert refused.refusal == (409, "account_not_closable")
    assert word in refused.json["error"]
    assert stand.ask("SELECT state FROM accounts WHERE id = $1", account_id) != "closed"
    assert stand.ask("SELECT count(*) FROM audit_log WHERE action = 'account_closed' AND account_id = $1",
                     account_id) == 0  # fmt: skip


def test_only_an_owner_with_a_fresh_code_closes_and_never_himself(stand: Stand, owner: Member, alice: Client) -> None:
    ops, path = Member(stand, "ops"), f"/admin/users/{alice.account_id}/close"
    assert ops.client.post(path, {"reason": REASON, "totp": ops.fresh()}).refusal == (403, "scope_too_small")
    assert owner.client.post(path, {"reason": REASON, "totp": "000000"}).refusal == (401, "totp_invalid")
    assert close(stand, owner, owner.account_id).refusal == (403, "own_account")
    assert close(stand, owner, 987_654_321).refusal == (404, "not_found")


def test_of_two_owners_at_once_one_closes_it(stand: Stand, owner: Member) -> None:
    person, visit = spent(stand, "twice"), Visit("closing", "127.0.0.1", token=owner.client.token)

    async def both() -> list[BaseException | None]:
        site = stand.site
        caller = await site.people.ring.authenticate(visit)
        closing = [accounts.close(site.db, person.account_id, by=caller, visit=visit, reason=REASON) for _ in range(2)]
        return await asyncio.gather(*closing, return_exceptions=True)

    results = stand.portal.call(both)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "NotClosable"]
    assert stand.ask("SELECT count(*) FROM audit_log WHERE action = 'account_closed' AND account_id = $1",
                     person.account_id) == 1  # fmt: skip


def test_after_its_time_nobody_is_named_any_more_and_the_address_is_free(stand: Stand, owner: Member) -> None:
    person, keep = spent(stand, "forgotten"), timedelta(days=400)
    assert close(stand, owner, person.account_id).status == 200
    assert stand.portal.call(lambda: jobs.forget_closed(stand.site.db, keep=keep)) == 0
    stand.change("UPDATE accounts SET state_at = state_at - interval '401 days' WHERE id = $1", person.account_id)
    assert stand.portal.call(lambda: jobs.forget_closed(stand.site.db, keep=keep)) == 1
    assert stand.portal.call(lambda: jobs.forget_closed(stand.site.db, keep=keep)) == 0
    shown = owner.client.get(f"/admin/users/{person.account_id}").data["account"]
    assert (shown["email"], shown["name"]) == (f"closed-{person.account_id}@closed.invalid", "")
    assert stand.signed_in(person.email).account_id != person.account_id
