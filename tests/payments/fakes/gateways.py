"""Every gateway beside its fake, so that one test can be told of all three."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from aiohttp import ClientSession

from numberdesk.base import clock, http_client
from numberdesk.base.money import Paise
from numberdesk.payments.methods.cashfree import Cashfree
from numberdesk.payments.methods.gateway import Checkout, CheckoutWanted, Gateway, GatewayName, Hint, Look
from numberdesk.payments.methods.phonepe import PhonePe
from numberdesk.payments.methods.razorpay import Razorpay
from tests.payments.fakes.cashfree import FakeCashfree, cashfree_fake
from tests.payments.fakes.gateway_ledger import Webhook
from tests.payments.fakes.phonepe import FakePhonePe, phonepe_fake
from tests.payments.fakes.razorpay import FakeRazorpay, razorpay_fake

REF = "RC01JDMZ9K7Q4W8X2Y6T5N3B1V0H"
OTHER_REF = "RC01JDMZ9K7Q4W8X2Y6T5N3B1V0J"
AMOUNT = Paise(250_37)
OLD_SECRET = "of-last-year:and-its-password"
"""Signs for every gateway; `user:password` for the one that has both."""
DEADLINE = 2.0


@dataclass
class Stand:
    """A gateway, its fake, and the session between them."""

    gateway: Gateway
    fake: Any
    """A `FakeRazorpay`, `FakeCashfree` or `FakePhonePe`: they have the same verbs."""
    session: ClientSession = field(repr=False)

    @property
    def name(self) -> GatewayName:
        """Which one it is."""
        return self.gateway.name

    async def create(self, ref: str = REF, **changes: Any) -> Checkout:
        """Make a page, which must succeed."""
        made = await self.gateway.create(wanted(ref, **changes))
        assert isinstance(made, Checkout), made
        return made

    async def look(self, ref: str = REF, gateway_id: str | None = None) -> Look:
        """Look, which must succeed."""
        seen = await self.gateway.look(ref=ref, gateway_id=gateway_id)
        assert isinstance(seen, Look), seen
        return seen

    def read(self, webhook: Webhook, *, now: datetime | None = None) -> Hint:
        """Read a webhook as the endpoint does."""
        return self.gateway.read_webhook(webhook.headers, webhook.raw, now=now or clock.now())


def wanted(
    ref: str = REF, *, amount_paise: Paise = AMOUNT, expires_at: datetime | None = None, account: str = "u_42"
) -> CheckoutWanted:
    """Return a page that is wanted for half an hour."""
    ends = expires_at or datetime.fromtimestamp(int(clock.now().timestamp()), UTC) + timedelta(minutes=30)
    return CheckoutWanted(ref, amount_paise, account, ends, "https://shop.example/back")


@asynccontextmanager
async def stand_of(name: GatewayName, *, is_live: bool = False) -> AsyncIterator[Stand]:
    """Run the fake of a gateway and connect the adapter to it."""
    async with http_client.session() as session:
        if name == "razorpay":
            async with razorpay_fake(key_id=f"rzp_{'live' if is_live else 'test'}_FakeKey0000001") as fake:
                yield Stand(razorpay_to(fake, session), fake, session)
        elif name == "cashfree":
            async with cashfree_fake() as fake_cashfree:
                yield Stand(cashfree_to(fake_cashfree, session, is_live=is_live), fake_cashfree, session)
        else:
            async with phonepe_fake() as fake_phonepe:
                yield Stand(phonepe_to(fake_phonepe, session, is_live=is_live), fake_phonepe, session)


def unconnected(name: GatewayName) -> Stand:
    """Return a gateway that can read webhooks and ask nobody, for tests without an event loop."""
    nobody = cast(ClientSession, None)
    if name == "razorpay":
        return Stand(razorpay_to(fake := FakeRazorpay(), nobody), fake, nobody)
    if name == "cashfree":
        return Stand(cashfree_to(fake_cashfree := FakeCashfree(), nobody), fake_cashfree, nobody)
    return Stand(phonepe_to(fake_phonepe := FakePhonePe(), nobody), fake_phonepe, nobody)


def razorpay_to(fake: FakeRazorpay, session: ClientSession) -> Razorpay:
    """Connect the adapter to a fake."""
    return Razorpay(
        session,
        key_id=fake.key_id,
        key_secret=fake.key_secret,
        webhook_secrets=(fake.webhook_secret, OLD_SECRET),
        base_url=fake.url,
        deadline=DEADLINE,
    )


def cashfree_to(fake: FakeCashfree, session: ClientSession, *, is_live: bool = False) -> Cashfree:
    """Connect the adapter to a fake."""
    return Cashfree(
        session,
        client_id=fake.client_id,
        client_secret=fake.client_secret,
        is_live=is_live,
        business_phone="9999999999",
        old_secrets=(OLD_SECRET,),
        base_url=fake.url,
        deadline=DEADLINE,
    )


def phonepe_to(fake: FakePhonePe, session: ClientSession, *, is_live: bool = False) -> PhonePe:
    """Connect the adapter to a fake."""
    user, _, password = OLD_SECRET.partition(":")
    return PhonePe(
        session,
        client_id=fake.client_id,
        client_secret=fake.client_secret,
        client_version=fake.client_version,
        is_live=is_live,
        webhook_logins=((fake.webhook_user, fake.webhook_password), (user, password)),
        base_url=fake.url,
        token_url=fake.token_url,
        deadline=DEADLINE,
    )
