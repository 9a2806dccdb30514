"""What customers choose to be told: switches, a chat of their own, and the balance below which they want to know."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from numberdesk.accounts import service as accounts
from numberdesk.base.postgres import Cluster
from numberdesk.notifications import service as notifications
from numberdesk.notifications.model import Notice, Template
from tests.http import stand as stands
from tests.http.money_in import until
from tests.http.stand import Client, SignedIn, Stand
from tests.notifications.letters import SAMPLES
from tests.notifications.mailbox import Mailbox, mailbox
from tests.notifications.telegram import CUSTOMER_CHAT, TOKEN, FakeTelegram, telegram

PATH = "/user/notifications"


@dataclass
class Scene:
    """A site with a bot for customers, and a mailbox."""

    stand: Stand
    chat: FakeTelegram
    box: Mailbox
    people: int = 0

    def person(self) -> SignedIn:
        self.people += 1
        return self.stand.signed_in(f"ann{self.people}@example.com")

    def linked(self, chat_id: int) -> SignedIn:
        """Return somebody whose chat is linked."""
        person = self.person()
        link(self, person, chat_id)
        return person

    def tell(self, person: SignedIn, template: Template, key: str) -> set[str]:
        """Have a person be told, and return by which channels."""

        async def work() -> None:
            site = self.stand.site
            notice = Notice(template, "x@example.com", SAMPLES[template], key, person.account_id)
            async with site.db.transaction() as tx:
                await notifications.enqueue(tx, site.vault, [notice])

        self.stand.portal.call(work)
        statement = "SELECT string_agg(channel, ' ') FROM outbox WHERE dedupe_key IN ($1, 'telegram:' || $1)"
        return set((self.stand.ask(statement, key) or "").split())


def link(scene: Scene, person: SignedIn, chat_id: int) -> str:
    made = person.client.post(f"{PATH}/telegram", {}).data
    assert made["link"] == f"https://t.me/numbers_bot?start={made['code']}"
    scene.chat.write(f"/start {made['code']}", chat_id=chat_id)
    until(lambda: state(person) == "on")
    return str(made["code"])


def state(person: SignedIn) -> str:
    return str(person.client.get(PATH).data["telegram"]["state"])


def put(client: Client, data: dict[str, Any]) -> stands.Answer:
    return client.send("PUT", PATH, body=json.dumps(data).encode(), headers={"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def scene(portal: BlockingPortal, cluster: Cluster) -> Iterator[Scene]:
    with (
        portal.wrap_async_context_manager(telegram()) as chat,
        portal.wrap_async_context_manager(mailbox()) as box,
        stands.opened(
            portal, cluster, smtp_host="127.0.0.1", smtp_port=box.port, smtp_security="none",
            telegram_bot_token=TOKEN, telegram_url=chat.url,
        ) as stand,
    ):  # fmt: skip
        scene = Scene(stand, chat, box)
        probe = scene.person()
        until(lambda: probe.client.get(PATH).data["telegram"]["available"])
        yield scene


def test_a_chat_is_linked_by_a_code_once_and_its_owner_is_told_both_ways(scene: Scene) -> None:
    person = scene.person()
    scene.chat.write("/start", chat_id=CUSTOMER_CHAT)
    scene.chat.write("hello <b>bot</b>", chat_id=CUSTOMER_CHAT)
    code = link(scene, person, CUSTOMER_CHAT)
    scene.stand.portal.call(lambda: scene.box.next(to=f"ann{scene.people}@", subject_part="chat was linked"))
    until(lambda: "was linked" in "".join(scene.chat.texts(CUSTOMER_CHAT)))
    # The code is used up: another chat gets nothing by it.
    other = scene.person()
    scene.chat.write(f"/start {code}", chat_id=555)
    link(scene, other, 556)
    assert scene.stand.ask("SELECT array_agg(chat_id ORDER BY chat_id) FROM telegram_links") == [556, CUSTOMER_CHAT]
    assert scene.stand.ask("SELECT count(*) FROM audit_log WHERE action = 'telegram_linked'") == 2


def test_a_code_in_a_group_or_too_old_links_nothing(scene: Scene) -> None:
    person = scene.person()
    code = person.client.post(f"{PATH}/telegram", {}).data["code"]
    scene.chat.write(f"/start {code}", chat_id=-800, kind="group")
    late = scene.person()
    old = late.client.post(f"{PATH}/telegram", {}).data["code"]
    scene.stand.change(
        "UPDATE telegram_codes SET expires_at = now() - interval '1 s' WHERE account_id = $1", late.account_id
    )
    scene.chat.write(f"/start {old}", chat_id=801)
    link(scene, scene.person(), 802)  # read after them
    assert (state(person), state(late)) == ("none", "none")


def test_a_chat_is_of_one_account_and_the_one_that_loses_it_is_told(scene: Scene) -> None:
    first = scene.linked(900)
    first_number = scene.people
    second = scene.person()
    link(scene, second, 900)
    assert state(first) == "none"
    scene.stand.portal.call(lambda: scene.box.next(to=f"ann{first_number}@", subject_part="chat was unlinked"))


def test_an_unlinked_chat_gets_nothing_more(scene: Scene) -> None:
    person = scene.linked(910)
    until(lambda: len(scene.chat.texts(910)) == 1)
    assert person.client.send("DELETE", f"{PATH}/telegram").status == 200
    assert person.client.send("DELETE", f"{PATH}/telegram").refusal == (404, "not_found")
    assert scene.tell(person, "recharge_credited", "unlinked") == {"email"}


def test_a_chat_whose_owner_blocked_the_bot_is_left_alone_until_it_is_linked_again(scene: Scene) -> None:
    person = scene.linked(920)
    scene.chat.gone = {920: "Forbidden: bot was blocked by the user"}
    assert scene.tell(person, "recharge_credited", "blocked") == {"email", "telegram"}
    until(lambda: state(person) == "off")
    assert scene.tell(person, "recharge_credited", "blocked:2") == {"email"}
    scene.chat.gone = {}
    link(scene, person, 920)
    assert scene.tell(person, "recharge_credited", "blocked:3") == {"email", "telegram"}


def test_switches_decide_for_each_channel_and_mails_about_security_stay(scene: Scene) -> None:
    person = scene.linked(930)
    usual = {item["event"]: item for item in person.client.get(PATH).data["events"]}
    assert usual["recharge"] == {"event": "recharge", "email": True, "telegram": True, "emailLocked": False}
    assert usual["security"]["emailLocked"]
    assert usual["sign_in"]["emailLocked"]
    assert (usual["code"]["email"], usual["code"]["emailLocked"]) == (False, True), "codes go by no mail"
    assert (usual["code"]["email"], usual["code"]["telegram"]) == (False, False)
    changed = put(person.client, {"events": [
        {"event": "recharge", "email": False}, {"event": "security", "email": False, "telegram": False},
        {"event": "sign_in", "email": False}, {"event": "webhook_disabled", "telegram": False},
    ]}).data  # fmt: skip
    shown = {item["event"]: (item["email"], item["telegram"]) for item in changed["events"]}
    assert shown["recharge"] == (False, True)
    assert shown["security"] == (True, False)
    assert shown["sign_in"] == (True, True)
    assert shown["webhook_disabled"] == (True, False)
    assert scene.tell(person, "recharge_credited", "switched:1") == {"telegram"}
    assert scene.tell(person, "password_changed", "switched:2") == {"email"}
    assert scene.tell(person, "new_sign_in", "switched:3") == {"email", "telegram"}
    assert scene.tell(person, "webhook_disabled", "switched:4") == {"email"}
    assert scene.tell(person, "reset_password", "switched:5") == {"email"}
    assert put(person.client, {"events": [{"event": "recharge", "email": True, "telegram": False}]}).status == 200
    assert scene.tell(person, "recharge_credited", "switched:6") == {"email"}
    scene.stand.change("UPDATE accounts SET notify_by_email = false WHERE id = $1", person.account_id)
    assert scene.tell(person, "recharge_credited", "switched:7") == set()
    assert scene.tell(person, "api_key_made", "switched:8") == {"email"}


def test_a_receipt_by_telegram_says_what_the_mail_says_escaped(scene: Scene) -> None:
    person = scene.linked(940)
    until(lambda: len(scene.chat.texts(940)) == 1)
    scene.tell(person, "recharge_credited", "receipt")
    until(lambda: len(scene.chat.texts(940)) == 2)
    assert scene.chat.texts(940)[1] == (
        "<b>Receipt R/25-26/000123: 250.37 rupees received</b>\nWe received your payment. It is in your wallet.\n\n"
        "Receipt: R/25-26/000123\nAmount: 250.37 rupees\nPaid by: UPI\nReference: …1837\n"
        "When: 14 March 2026, 09:26 IST\nNote: it came late\n\n"
        "The full receipt is in your account. Keep this mail for your records."
    )


def test_a_low_balance_is_told_once_for_each_fall(scene: Scene) -> None:
    person = scene.person()
    told = "SELECT count(*) FROM outbox WHERE template = 'low_balance' AND account_id = $1"

    def set_balance(paise: int) -> None:
        scene.stand.change(
            "INSERT INTO wallets (account_id, available_paise) VALUES ($1, $2)"
            " ON CONFLICT (account_id) DO UPDATE SET available_paise = $2",
            person.account_id, paise,
        )  # fmt: skip
        scene.stand.portal.call(accounts.tell_low_balances, scene.stand.site.people)
        scene.stand.portal.call(accounts.tell_low_balances, scene.stand.site.people)

    set_balance(100_00)
    assert put(person.client, {"lowBalance": "50.00"}).data["lowBalance"] == "50.00"
    for paise, times in ((100_00, 0), (50_00, 0), (49_99, 1), (10_00, 1), (60_00, 1), (0, 2)):
        set_balance(paise)
        assert scene.stand.ask(told, person.account_id) == times
    mail = scene.stand.portal.call(lambda: scene.box.next(to=f"ann{scene.people}@", subject_part="below 50.00 rupees"))
    assert "49.99 rupees" in str(mail.get_body(("plain",)))
    assert put(person.client, {"lowBalance": None}).data["lowBalance"] is None
    set_balance(60_00)
    set_balance(0)
    assert scene.stand.ask(told, person.account_id) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [({"lowBalance": "-1"}, "lowBalance"), ({"lowBalance": "many"}, "lowBalance"), ({"lowBalance": 0}, "lowBalance"),
     ({"events": [{"event": "gossip"}]}, "events[].event"), ({"events": [{"event": "code", "sms": True}]}, None),
     ({"events": [{"event": "code", "email": "yes"}]}, "events[].email"), ({"chat": 1}, "chat")],
)  # fmt: skip
def test_a_bad_field_is_named(scene: Scene, body: dict[str, Any], field: str | None) -> None:
    answer = put(scene.person().client, body)
    assert answer.refusal == (400, "invalid_request")
    assert field is None or field.split("[")[0] in next(iter(answer.details["fields"]))


def test_a_key_may_not_change_where_notices_go(scene: Scene) -> None:
    customer = scene.stand.customer()
    assert put(customer, {"lowBalance": "5"}).refusal == (403, "scope_too_small")
    assert customer.post(f"{PATH}/telegram", {}).refusal == (403, "scope_too_small")


def test_without_a_bot_no_chat_can_be_linked(portal: BlockingPortal, cluster: Cluster) -> None:
    with stands.opened(portal, cluster) as stand:
        person = stand.signed_in("bela@example.com")
        assert person.client.get(PATH).data["telegram"] == {
            "available": False, "bot": None, "state": "none", "problem": None, "linkedAt": None,
        }  # fmt: skip
        assert person.client.post(f"{PATH}/telegram", {}).refusal == (409, "telegram_unavailable")
