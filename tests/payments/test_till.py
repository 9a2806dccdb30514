"""Opening the till: what is set up by halves, or wrongly, stops the start with one sentence that shows no secret."""

from typing import Any

import pytest

from numberdesk.base import http_client
from numberdesk.base.crypto import Vault, new_key
from numberdesk.base.db import Database
from numberdesk.base.limits import NUMBERS, Limiter
from numberdesk.payments.service import Till
from numberdesk.settings import BadSettings, load
from numberdesk.till import open_till

pytestmark = pytest.mark.anyio

XPUB = "xpub6D1AabNHCupeiLM65ZR9UStMhJ1vCpyV4XbZdyhMZBiJXALQtmn9p42VTQckoHVn8WNqS7dqnJokZHAHcHGoaQgmv8D45oNUKx6DZMNZBCd"
FIRST, SECOND = "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH", "TSeJkUh4Qv67VNFwY8LaAxERygNdy6NQZK"
USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
WORDS = " ".join(["abandon"] * 11 + ["about"])
TRON = {"tron_xpub": XPUB, "tron_first_address": FIRST}


async def till_of(db: Database, **settings: Any) -> Till:
    async with http_client.session() as session:
        return await open_till(
            db, load(**settings), vault=Vault([new_key()]), limiter=Limiter(db, numbers=NUMBERS), session=session
        )


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"upi_rail": "razorpay"}, "UPI_RAIL"),
        ({"razorpay_key_id": "rzp_test_1"}, "RAZORPAY_KEY_SECRET"),
        ({"razorpay_key_id": "rzp_test_1", "razorpay_key_secret": "s"}, "RAZORPAY_WEBHOOK_SECRETS"),
        ({"cashfree_client_id": "c"}, "CASHFREE_CLIENT_SECRETS"),
        ({"phonepe_client_id": "p", "phonepe_client_secret": "s"}, "PHONEPE_WEBHOOK_LOGINS"),
        (
            {"phonepe_client_id": "p", "phonepe_client_secret": "s", "phonepe_webhook_logins": "no-colon-sesame"},
            "PHONEPE_WEBHOOK_LOGINS",
        ),
        ({"bank_alert_keys": "phone"}, "BANK_ALERT_KEYS"),
        ({"tron_xpub": XPUB}, "TRON_FIRST_ADDRESS"),
        (TRON | {"tron_first_address": SECOND}, "TRON_FIRST_ADDRESS"),
        (TRON | {"tron_xpub": WORDS}, "TRON_XPUB"),
        (TRON | {"tron_xpub": "ab" * 32}, "TRON_XPUB"),
        (TRON | {"tron_xpub": XPUB[:-1] + "e"}, "TRON_XPUB"),
        (TRON | {"usdt_contract": "0xdac17f958d2ee523a2206206994597c13d831ec7"}, "USDT_CONTRACT"),
        (TRON | {"usdt_contract": "41a614f803b6fd780986a42c78ec9c7f77e6ded13c"}, "USDT_CONTRACT"),
        (TRON | {"tron_own_addresses": f"{FIRST},TLc6WnRN9DxA4uygPrHGr9A1DhVMxx2w45"}, "TRON_OWN_ADDRESSES"),
        ({"gst_enabled": True}, "GST_ENABLED"),
        ({"gst_enabled": True, "gst_supplier_gstin": "06AABCU9605R1ZR", "gst_sac": "998429"}, "GST_SUPPLIER_GSTIN"),
        ({"invoice_series": "NUMBERDESK"}, "INVOICE_SERIES"),
        ({"min_recharge_amount": 500, "max_recharge_amount": 100}, "MIN_RECHARGE_AMOUNT"),
    ],
)
async def test_what_is_set_up_by_halves_or_wrongly_is_named(db: Database, settings: dict[str, Any], name: str) -> None:
    with pytest.raises(BadSettings) as refused:
        await till_of(db, **settings)
    sentence = str(refused.value)
    assert name in sentence
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    for secret in ("abandon", "abab", "sesame", XPUB[20:40]):
        assert secret not in sentence


async def test_without_settings_only_own_addresses_for_upi_are_open(db: Database) -> None:
    till = await till_of(db)
    assert (till.gateways, till.chain, till.sources) == ({}, None, None)
    assert (till.rules.min_paise, till.rules.max_paise, till.rules.upi_rail) == (50_00, 10_000_00, "upi_manual")


async def test_gateways_that_have_keys_finish_what_they_began_though_another_is_chosen(db: Database) -> None:
    till = await till_of(
        db, razorpay_key_id="rzp_live_1", razorpay_key_secret="s", razorpay_webhook_secrets="new,old",
        cashfree_client_id="c", cashfree_client_secrets="new,old", phonepe_client_id="p", phonepe_client_secret="s",
        phonepe_webhook_logins="user:password", upi_rail="cashfree",
    )  # fmt: skip
    assert sorted(till.gateways) == ["cashfree", "phonepe", "razorpay"]
    assert [till.gateways[name].is_live for name in sorted(till.gateways)] == [True, True, True]
    assert till.rules.upi_rail == "cashfree"


async def test_a_wallet_is_open_once_its_first_address_is_confirmed(db: Database) -> None:
    till = await till_of(db, **TRON, usdt_contract=f" {USDT} ", tron_own_addresses=f"{FIRST}, {SECOND}")
    assert till.chain is not None
    assert till.rules.usdt_contract == till.chain.grid.usdt_contract == USDT
    assert till.rules.own_addresses == {FIRST, SECOND}
