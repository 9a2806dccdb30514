"""What every gateway does for us, and the nouns it speaks in. An adapter is pure protocol: no database, no rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from numberdesk.base.money import Paise

GatewayName = Literal["razorpay", "cashfree", "phonepe"]


@dataclass(frozen=True, slots=True)
class CheckoutWanted:
    """A payment page that we want of a gateway. Asking twice for one `ref` gives the first one again."""

    ref: str
    """Our reference, 28 characters of [0-9A-Z]; the gateway must not know two pages of one reference."""
    amount_paise: Paise
    account: str
    """An opaque name of the customer, such as `u_42`; never an address."""
    expires_at: datetime
    return_url: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A page where the customer pays."""

    gateway_id: str
    """The gateway's own name of it (`plink_…`, `cf_order_id`, `OMO…`)."""
    url: str | None
    """Where the customer goes; None when the gateway's script opens it with `session`."""
    session: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class GatewayPayment:
    """One try of a customer to pay, as the gateway's own API tells it."""

    external_id: str
    ref: str | None
    state: Literal["paid", "pending", "failed"]
    amount_paise: Paise
    """What is credited: what we asked for and the customer paid, without fees that the gateway added."""
    currency: str
    is_live: bool
    paid_at: datetime | None
    rrn: str | None
    """The bank's number, 12 digits, when the gateway tells it."""
    payer: str | None
    refunded_paise: Paise
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GatewayRefund:
    """Money on its way back to the payer, begun by us or by the gateway itself."""

    gateway_id: str
    key: str | None
    """Our name of it; None when we did not begin it."""
    payment_external_id: str
    state: Literal["pending", "processed", "failed"]
    amount_paise: Paise
    bank_reference: str | None
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What the gateway's API says of one of our references."""

    state: Literal["open", "paid", "expired", "unknown"]
    """`unknown`: the gateway has never heard of it."""
    payments: tuple[GatewayPayment, ...] = ()
    refunds: tuple[GatewayRefund, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """The gateway gave no usable answer; nothing is known. `reason` is ours: no secret, no address, no word of its."""

    reason: str
    is_refusal: bool = False
    """It surely did not do what was asked, and asking again will not help."""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """What a webhook is about. It credits nothing: it says where to look."""

    event_id: str
    kind: str
    """The gateway's word for the event, such as `payment_link.paid`."""
    ref: str | None
    gateway_id: str | None
    payment_id: str | None


class BadWebhook(ValueError):
    """A webhook that is not the gateway's: wrong or missing signature, too old, or not readable. `str()` says which."""


class Gateway(Protocol):
    """One gateway. No function raises for anything that the gateway may answer."""

    name: GatewayName
    is_live: bool
    """Real money, by the form of the keys or by a setting."""

    async def create(self, wanted: CheckoutWanted) -> Checkout | Trouble:
        """Make the page for a reference, or return the one that is there."""

    def read_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> Hint:
        """Check a webhook over its raw bytes. Header names are in small letters. Pure.

        Raises:
            BadWebhook: it proves nothing.
        """

    async def look(self, *, ref: str, gateway_id: str | None) -> Look | Trouble:
        """Ask what became of a reference: the truth, whatever a webhook or a browser says."""

    async def refund(
        self, *, ref: str, payment_external_id: str, amount_paise: Paise, key: str
    ) -> GatewayRefund | Trouble:
        """Send money back to the payer; the same `key` (12 to 36 of [A-Za-z0-9_-]) sends it once."""

    async def look_at_refund(
        self, *, ref: str, payment_external_id: str, key: str, gateway_id: str | None
    ) -> GatewayRefund | Trouble:
        """Ask what became of a refund of ours."""
