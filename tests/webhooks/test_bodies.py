"""What is posted in each format, byte by byte, and the signature over it."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from numberdesk.base import clock
from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.errors import InvalidFields
from numberdesk.orders import service as orders
from numberdesk.orders.model import Message, event_id
from numberdesk.orders.service import Told
from numberdesk.wallet.model import AccountId
from numberdesk.webhooks import service
from numberdesk.webhooks.model import DeliveryId, EndpointId, Format, Leased
from numberdesk.webhooks.service import Wanted, _send, body_of, headers_of, signature
from tests.webhooks import receivers
from tests.webhooks.office import VISIT, Office, caller, verified
from tests.webhooks.receivers import receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The example of the Standard Webhooks specification and of its libraries."""
    found = signature(SECRET, event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at=1614265330, body=b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "body", [b"{}", '{"text":"код 12345 \U0001f511"}'.encode(), b'{"a":"' + b"x" * 100_000 + b'"}']
)
def test_the_library_of_others_verifies_it(body: bytes) -> None:
    leased = Leased(
        id=DeliveryId(1), endpoint_id=EndpointId(1), account_id=AccountId(1), event_id="evt_1_code_1", seq=7,
        type="code", attempts=3, tries=1, created_at=clock.now(), url="https://example.com/", format="standard",
        secret=b"", old_secret=None, is_failing=False,
    )  # fmt: skip
    headers = headers_of(leased, body, secrets_in_force=[SECRET], at=int(clock.now().timestamp()))
    assert Webhook(SECRET).verify(body, headers) == json.loads(body)
    assert headers["numberdesk-attempt"] == "3"


async def told_of_a_code(office: Office, text: str = "Your code is 12345") -> Told:
    """Buy a number, and have a code on it at a known time."""
    world = office.world
    card = await world.buy()
    world.deliver(card, "12345")
    await world.watch()
    told = await orders.read_events(world.db, account_id=world.alice, after=0, limit=10)
    at = datetime(2023, 1, 1, 12, 0, 0, 987_654, tzinfo=UTC)
    return replace(told[-1], message=Message(card.order.id, 1, "12345", text, at))


@pytest.mark.anyio
async def test_the_classic_body_is_byte_for_byte_that_of_sms_activate(office: Office) -> None:
    told = await told_of_a_code(office)
    order_id = told.order.id
    assert (
        body_of(told, "classic")
        == (
            f'{{"activationId":{order_id},"service":"tg","text":"Your code is 12345","code":"12345","country":22,'
            '"receivedAt":"2023-01-01 12:00:00"}'
        ).encode()
    )


@pytest.mark.anyio
async def test_the_body_of_hero_says_more_and_its_id_is_a_text(office: Office) -> None:
    told = await told_of_a_code(office, "")
    assert json.loads(body_of(told, "hero")) == {
        "id": event_id(told.order.id, "code"), "activationId": str(told.order.id), "service": "tg", "text": None,
        "code": "12345", "country": 22, "receivedAt": "2023-01-01T12:00:00.987000Z", "phoneFrom": None,
    }  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("form", ["classic", "hero"])
async def test_old_formats_carry_codes_only_and_are_signed_like_ours(office: Office, form: Format) -> None:
    world = office.world
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url, format=form)
        card = await world.buy()
        world.deliver(card, "48213")
        await world.watch()
        await office.turn()
        await service.test(office.courier, world.alice, endpoint.id)
        await office.turn()
    code, test = receiver.got
    assert verified(office.secrets[endpoint.id], code)["code"] == "48213"
    assert code.headers["webhook-id"] == event_id(card.order.id, "code")
    assert verified(office.secrets[endpoint.id], test).keys() == verified(office.secrets[endpoint.id], code).keys()
    with pytest.raises(InvalidFields, match=r"order\.code alone"):
        await office.hook(receiver.url, format=form, events=["code", "expired"])


@pytest.mark.anyio
async def test_a_change_of_the_format_changes_the_events_with_it(office: Office) -> None:
    who = caller(office.world.alice)
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url)
        assert len(endpoint.events) == 8
        changed = await service.change(office.courier, who, VISIT, endpoint.id, Wanted(format="classic"))
        assert (changed.events, changed.format) == (["code"], "classic")
        back = await service.change(
            office.courier, who, VISIT, endpoint.id, Wanted(format="standard", events=["failed", "code", "code"])
        )
        assert back.events == ["code", "failed"]


@pytest.mark.anyio
async def test_secrets_are_sealed_each_to_its_row_and_can_be_sealed_anew(office: Office) -> None:
    world = office.world
    who = caller(world.alice)
    async with receiving(receivers.answering()) as receiver:
        first, second = await office.hook(receiver.url), await office.hook(receiver.url)
        await service.rotate(office.courier, who, VISIT, first.id)
        stored = await office.state(first)
        assert office.secrets[first.id].encode() not in stored["secret"]
        newer = Vault([key := new_key(), *_keys(world.vault)])
        assert await service.reseal(world.db, newer) == 2
        assert await service.reseal(world.db, newer) == 0
        assert (await office.state(first))["version"] == stored["version"]
        only = Vault([key])
        async with receiving(receivers.answering()) as other:
            moved = replace(office.courier, vault=only)
            await service.change(moved, who, VISIT, first.id, Wanted(url=other.url))
            await service.test(moved, world.alice, first.id)
            await Office(world, moved).turn()
            assert len(other.got[0].headers["webhook-signature"].split(" ")) == 2
        # One row's secret in another row is not read, so nothing is signed with it.
        await world.run(
            "UPDATE webhook_endpoints SET secret = (SELECT secret FROM webhook_endpoints WHERE id = $1) WHERE id = $2",
            first.id, second.id,
        )  # fmt: skip
        await service.test(moved, world.alice, second.id)
        await Office(world, moved).turn()
        assert receiver.got == []
        (row,) = await office.rows(second)
        assert (row["state"], row["problem"]) == ("failed", "its secret cannot be read here at the moment")


def _keys(vault: Vault) -> list[str]:
    """Return the key of a world's vault, which tests are not told."""
    fernet = vault._newest
    return [base64.urlsafe_b64encode(fernet._signing_key + fernet._encryption_key).decode()]


@pytest.mark.anyio
async def test_an_old_secret_is_not_kept_longer_than_two_rotations(office: Office) -> None:
    who = caller(office.world.alice)
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url)
        secrets = [office.secrets[endpoint.id]]
        for _ in range(2):
            found, secret = await service.rotate(office.courier, who, VISIT, endpoint.id)
            secrets.append(secret)
        assert found.old_secret_until is not None
        assert found.old_secret_until - clock.now() > timedelta(hours=23)
        await service.test(office.courier, office.world.alice, endpoint.id)
        await office.turn()
        (got,) = receiver.got
    for secret in secrets[1:]:
        verified(secret, got)
    with pytest.raises(Exception, match="No matching signature"):
        verified(secrets[0], got)


@pytest.mark.anyio
async def test_a_webhook_that_becomes_classic_gets_nothing_else_of_what_waited(office: Office) -> None:
    order = (await office.world.buy()).order
    async with receiving(receivers.answering()) as receiver:
        endpoint = await office.hook(receiver.url)
        await office.happen(order.id, "extended")
        await service.fan_out(office.courier)
        who = caller(office.world.alice)
        await service.change(office.courier, who, VISIT, endpoint.id, Wanted(format="classic"))
        await office.turn()
        assert receiver.ids == []
        row = await office.row(endpoint)
        assert (row["state"], row["problem"]) == ("failed", _send.NOT_IN_FORMAT)
        assert (await office.state(endpoint))["failing_since"] is None
        await service.change(office.courier, who, VISIT, endpoint.id, Wanted(format="standard"))
        await office.resend(row["id"])
        await office.turn()
    assert receiver.ids == [event_id(order.id, "extended")]
