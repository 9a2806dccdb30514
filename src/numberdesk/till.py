"""Opens the till: what payments work with, as the settings say. What is not set up is left out."""

from collections.abc import Callable, Container, Mapping
from datetime import timedelta
from functools import partial

from aiohttp import ClientSession
from pydantic import SecretStr

from numberdesk.accounts.model import StaffRules
from numberdesk.base.crypto import Vault
from numberdesk.base.db import Database
from numberdesk.base.limits import Limiter
from numberdesk.base.money import PAISE_PER_RUPEE, Paise
from numberdesk.maintenance.service import Switches
from numberdesk.payments import service as payments
from numberdesk.payments.methods import gst, tron_address, trongrid
from numberdesk.payments.methods.cashfree import Cashfree
from numberdesk.payments.methods.gateway import Gateway
from numberdesk.payments.methods.phonepe import PhonePe
from numberdesk.payments.methods.rate_sources import UNITS, Sources
from numberdesk.payments.methods.razorpay import Razorpay
from numberdesk.payments.service import Chain, PaymentRules, Supplier, Till
from numberdesk.settings import CASHFREE_URL, PHONEPE_URL, BadSettings, Settings


async def open_till(
    db: Database,
    settings: Settings,
    *,
    vault: Vault,
    limiter: Limiter,
    session: ClientSession,
    switches: Switches | None = None,
) -> Till:
    """Return what payments work with.

    Raises:
        BadSettings: a gateway, the wallet or the tax is set up by halves, or wrong.
    """
    gateways = {name: found for name, build in GATEWAYS.items() if (found := build(settings, session)) is not None}
    _refuse_rail(settings, gateways)
    chain = await _chain(db, settings, session)
    return Till(
        db=db,
        vault=vault,
        limiter=limiter,
        rules=_rules(settings),
        supplier=_supplier(settings),
        gateways=gateways,
        chain=chain,
        sources=None if chain is None else _sources(settings, session),
        switches=switches or Switches(),
    )


def staff_rules(settings: Settings) -> StaffRules:
    """Return what the operator decided about money by hand."""
    return StaffRules(
        Paise(settings.staff_two_person_amount * PAISE_PER_RUPEE), Paise(settings.staff_daily_cap * PAISE_PER_RUPEE)
    )


def _rules(settings: Settings) -> PaymentRules:
    return PaymentRules(
        min_paise=Paise(settings.min_recharge_amount * PAISE_PER_RUPEE),
        max_paise=Paise(settings.max_recharge_amount * PAISE_PER_RUPEE),
        upi_rail=settings.upi_rail,
        lifetime=timedelta(milliseconds=settings.recharge_timeout),
        quote_lifetime=timedelta(milliseconds=settings.quote_timeout),
        spread_bps=settings.crypto_spread,
        min_units=settings.trx_min_credit * UNITS,
        credits_doubles=settings.duplicate_payment_policy == "credit",
        alerts_prove=settings.alert_autocredit,
        two_people_above=Paise(settings.review_dual_control_amount * PAISE_PER_RUPEE),
        usdt_contract=None if settings.usdt_contract is None else settings.usdt_contract.strip(),
        public_url=settings.base_url,
        own_addresses=_own_addresses(settings),
        staff=staff_rules(settings),
        alert_keys=dict(_pairs("BANK_ALERT_KEYS", settings.bank_alert_keys)),
    )


def problems(settings: Settings, session: ClientSession) -> list[BadSettings]:
    """Return everything that a start would refuse, as far as it is known without the database."""
    found: list[BadSettings] = []
    there: set[str] = set()
    for name, build in GATEWAYS.items():
        try:
            if build(settings, session) is not None:
                there.add(name)
        except BadSettings as problem:
            found.append(problem)
            there.add(name)
    readers = (partial(_refuse_rail, there=there), _wallet, _supplier, _rules)
    for look in readers:
        try:
            look(settings)
        except BadSettings as problem:
            found.append(problem)
    return found


def _refuse_rail(settings: Settings, there: Container[str]) -> None:
    if settings.upi_rail != "upi_manual" and settings.upi_rail not in there:
        raise BadSettings(f"UPI_RAIL: {settings.upi_rail} is not set up: set its keys, or take upi_manual.")


def _razorpay(settings: Settings, session: ClientSession) -> Gateway | None:
    if settings.razorpay_key_id is None:
        return None
    return Razorpay(
        session,
        settings.razorpay_key_id,
        _needed("RAZORPAY_KEY_SECRET", settings.razorpay_key_secret)[0],
        _needed("RAZORPAY_WEBHOOK_SECRETS", settings.razorpay_webhook_secrets),
        settings.razorpay_url.rstrip("/"),
    )


def _cashfree(settings: Settings, session: ClientSession) -> Gateway | None:
    if settings.cashfree_client_id is None:
        return None
    newest, *older = _needed("CASHFREE_CLIENT_SECRETS", settings.cashfree_client_secrets)
    return Cashfree(
        session, settings.cashfree_client_id, newest, settings.cashfree_url == CASHFREE_URL,
        settings.cashfree_phone, settings.cashfree_url.rstrip("/"), tuple(older),
        notify_url=f"{settings.base_url}/webhooks/cashfree",
    )  # fmt: skip


def _phonepe(settings: Settings, session: ClientSession) -> Gateway | None:
    if settings.phonepe_client_id is None:
        return None
    _needed("PHONEPE_WEBHOOK_LOGINS", settings.phonepe_webhook_logins)
    return PhonePe(
        session, settings.phonepe_client_id,
        _needed("PHONEPE_CLIENT_SECRET", settings.phonepe_client_secret)[0], settings.phonepe_client_version,
        settings.phonepe_url == PHONEPE_URL,
        tuple(_pairs("PHONEPE_WEBHOOK_LOGINS", settings.phonepe_webhook_logins)),
        settings.phonepe_url.rstrip("/"), settings.phonepe_token_url,
    )  # fmt: skip


GATEWAYS: Mapping[str, Callable[[Settings, ClientSession], Gateway | None]] = {
    "razorpay": _razorpay,
    "cashfree": _cashfree,
    "phonepe": _phonepe,
}
"""How each gateway is opened, if it has its keys."""


def _wallet(settings: Settings) -> tuple[tron_address.Xpub, str | None, str] | None:
    """Return the wallet that customers pay into, the contract of USDT and the wallet's first address."""
    if settings.tron_xpub is None:
        return None
    if settings.tron_first_address is None:
        raise BadSettings("TRON_FIRST_ADDRESS: must be the wallet's first address, as your own wallet shows it.")
    try:
        xpub = tron_address.read_xpub(settings.tron_xpub.get_secret_value())
    except tron_address.BadXpub as problem:
        raise BadSettings(f"TRON_XPUB: {str(problem).rstrip('.')}.") from None
    try:
        contract = None if settings.usdt_contract is None else tron_address.check_address(settings.usdt_contract)
    except tron_address.BadAddress as problem:
        raise BadSettings(f"USDT_CONTRACT: {problem}.") from None
    return xpub, contract, settings.tron_first_address


async def _chain(db: Database, settings: Settings, session: ClientSession) -> Chain | None:
    if (wallet := _wallet(settings)) is None:
        return None
    xpub, contract, first_address = wallet
    try:
        await payments.confirm_wallet(db, xpub, first_address=first_address)
    except ValueError as problem:
        raise BadSettings(f"TRON_FIRST_ADDRESS: {problem}.") from None
    second = None
    if settings.tron_second_url is not None:
        second = trongrid.Node(settings.tron_second_url.rstrip("/"), tuple(_several(settings.tron_second_keys)))
    grid = trongrid.open_client(
        session,
        primary=trongrid.Node(settings.tron_url.rstrip("/"), tuple(_several(settings.tron_keys))),
        second=second,
        genesis=trongrid.GENESIS[settings.tron_network],
        usdt_contract=contract,
        calls_per_second=settings.tron_calls_per_second,
    )
    return Chain(grid, xpub)


def _sources(settings: Settings, session: ClientSession) -> Sources:
    key = None if settings.coingecko_key is None else settings.coingecko_key.get_secret_value()
    return Sources(
        session,
        settings.coingecko_url.rstrip("/"),
        settings.coindcx_url.rstrip("/"),
        settings.wazirx_url.rstrip("/"),
        key,
    )


def _supplier(settings: Settings) -> Supplier:
    gstin = None
    if settings.gst_enabled:
        if settings.gst_supplier_gstin is None or settings.gst_sac is None:
            raise BadSettings("GST_ENABLED: needs GST_SUPPLIER_GSTIN and GST_SAC.")
        try:
            gstin = gst.check_gstin(settings.gst_supplier_gstin)
        except gst.NotAGstin as problem:
            raise BadSettings(f"GST_SUPPLIER_GSTIN: {problem}.") from None
    try:
        gst.receipt_number(settings.invoice_series, fiscal_year="26-27", serial=999_999)
    except gst.NoReceiptNumber as problem:
        raise BadSettings(f"INVOICE_SERIES: {problem}.") from None
    return Supplier(
        settings.supplier_name, settings.supplier_address, settings.invoice_series, gstin,
        settings.gst_sac if settings.gst_enabled else None, settings.gst_rate_bps,
    )  # fmt: skip


def _own_addresses(settings: Settings) -> frozenset[str]:
    try:
        return frozenset(
            tron_address.check_address(part) for part in settings.tron_own_addresses.split(",") if part.strip()
        )
    except tron_address.BadAddress as problem:
        raise BadSettings(f"TRON_OWN_ADDRESSES: {problem}.") from None


def _several(secret: SecretStr | None) -> list[str]:
    return [] if secret is None else [part.strip() for part in secret.get_secret_value().split(",") if part.strip()]


def _needed(name: str, secret: SecretStr | None) -> tuple[str, ...]:
    found = tuple(_several(secret))
    if not found:
        raise BadSettings(f"{name}: must be set for this gateway.")
    return found


def _pairs(name: str, secret: SecretStr | None) -> list[tuple[str, str]]:
    found = []
    for part in _several(secret):
        first, colon, second = part.partition(":")
        if not (first and colon and second):
            raise BadSettings(f"{name}: each part must be two words with a colon between them.")
        found.append((first, second))
    return found
