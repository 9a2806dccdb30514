"""What the verbs of payments work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from numberdesk.accounts.model import StaffRules
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.limits import Limiter
from numberdesk.base.money import Paise
from numberdesk.maintenance.service import Switches
from numberdesk.payments.methods.gateway import Gateway
from numberdesk.payments.methods.rate_sources import Sources
from numberdesk.payments.methods.tron_address import Xpub
from numberdesk.payments.methods.trongrid import TronGrid
from numberdesk.payments.model import UpiRail


@dataclass(frozen=True, slots=True)
class PaymentRules:
    """What the operator decided about money coming in."""

    min_paise: Paise
    max_paise: Paise
    upi_rail: UpiRail
    lifetime: timedelta
    """How long a recharge waits for its payment."""
    quote_lifetime: timedelta
    spread_bps: int
    min_units: int
    """Below so many millionths of an asset a deposit waits until the sum is above it."""
    credits_doubles: bool
    """A second payment for one recharge is credited too; otherwise a person decides."""
    alerts_prove: bool
    two_people_above: Paise
    usdt_contract: str | None
    public_url: str
    own_addresses: frozenset[str] = frozenset()
    """Addresses of the operator on TRON: what they send is nobody's payment."""
    alert_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The secrets of devices that forward the bank's messages, by the device's name."""
    open_max: int = 3
    staff: StaffRules = field(default_factory=StaffRules)


@dataclass(frozen=True, slots=True)
class Supplier:
    """Who issues receipts; with a GSTIN they show the tax that is in the amount."""

    name: str
    address: str
    series: str
    gstin: str | None = None
    sac: str | None = None
    rate_bps: int = 1800


@dataclass(frozen=True)
class Chain:
    """How TRON is reached, and the wallet that customers' addresses come from."""

    grid: TronGrid
    xpub: Xpub
    foreign: dict[str, None] = field(default_factory=dict, repr=False)
    """Final transactions that brought us nothing, newest last: tokens and dust of others are looked at once."""


@dataclass(frozen=True)
class Till:
    """Everything that money coming in needs. What is None or absent is not set up, and its method is closed."""

    db: Database
    vault: Vault
    limiter: Limiter
    rules: PaymentRules
    supplier: Supplier
    gateways: Mapping[str, Gateway]
    """Every gateway that has its keys: those that are not chosen for new recharges finish what they began."""
    chain: Chain | None
    sources: Sources | None
    switches: Switches = field(default_factory=Switches)


def hash_of_payer(till: Till, payer: str | None) -> bytes | None:
    """Return what a payer is known by when he pays again, for whomever; None where the outside does not name him."""
    return None if not payer else till.vault.fingerprint(f"payer:{payer.strip().casefold()}")
