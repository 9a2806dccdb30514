"""What comes in: recharges, gateways, TRON, rates and receipts."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

RAZORPAY_URL = "https://api.razorpay.com/v1"
CASHFREE_URL = "https://api.cashfree.com/pg"
PHONEPE_URL = "https://api.phonepe.com/apis/pg"
PHONEPE_TOKEN_URL = "https://api.phonepe.com/apis/identity-manager/v1/oauth/token"  # noqa: S105 - an address


class MoneySettings(BaseSettings):
    """The settings of money that comes in."""

    min_recharge_amount: Annotated[int, Field(ge=1, le=100_000)] = 50
    """The smallest recharge. Unit: rupees."""
    max_recharge_amount: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """The largest recharge. UPI itself ends at 100,000 for most payers. Unit: rupees."""
    recharge_timeout: Annotated[int, Field(ge=300_000, le=86_400_000)] = 1_800_000
    """How long a recharge by UPI waits for its payment; later ones are credited too. Unit: milliseconds."""
    upi_rail: Literal["upi_manual", "razorpay", "cashfree", "phonepe"] = "upi_manual"
    """What new recharges by UPI are paid through: the operator's own UPI addresses, or a gateway."""
    duplicate_payment_policy: Literal["credit", "suspense"] = "credit"
    """What becomes of a second payment for one recharge; `suspense` leaves it to a person."""
    staff_two_person_amount: Annotated[int, Field(ge=0, le=10_000_000)] = 5_000
    """Above it two people must agree to a credit, a debit or a refund by hand. Unit: rupees."""
    staff_daily_cap: Annotated[int, Field(ge=1, le=100_000_000)] = 100_000
    """What one member of the staff may move by hand in 24 hours, approved payments included. Unit: rupees."""
    review_dual_control_amount: Annotated[int, Field(ge=0, le=10_000_000)] = 5_000
    """Above it two people must approve a payment by hand. Unit: rupees."""
    bank_alert_keys: SecretStr | None = None
    """Devices that may forward the bank's messages, as name:secret with commas between; none takes no messages."""
    alert_autocredit: bool = False
    """Whether a forwarded message alone proves a payment. It can be forged: a statement proves."""
    razorpay_key_id: str | None = None
    """Razorpay's key id; with it this gateway is set up."""
    razorpay_key_secret: SecretStr | None = None
    """The secret of that key."""
    razorpay_webhook_secrets: SecretStr | None = None
    """What Razorpay signs webhooks with, newest first, separated by commas."""
    razorpay_url: str = RAZORPAY_URL
    """Where Razorpay's API is."""
    cashfree_client_id: str | None = None
    """Cashfree's client id; with it this gateway is set up."""
    cashfree_client_secrets: SecretStr | None = None
    """Its client secrets, newest first, separated by commas: the newest is used, webhooks are checked with all."""
    cashfree_phone: str = "9999999999"
    """The operator's phone number: an order needs one, and customers are asked for none."""
    cashfree_url: str = CASHFREE_URL
    """Where Cashfree's API is; its sandbox takes no real money."""
    phonepe_client_id: str | None = None
    """PhonePe's client id; with it this gateway is set up."""
    phonepe_client_secret: SecretStr | None = None
    """Its secret."""
    phonepe_client_version: str = "1"
    """The version of that client."""
    phonepe_webhook_logins: SecretStr | None = None
    """User and password of PhonePe's webhooks as user:password, newest first, separated by commas."""
    phonepe_url: str = PHONEPE_URL
    """Where PhonePe's API is."""
    phonepe_token_url: str = PHONEPE_TOKEN_URL
    """Where its access tokens come from."""
    tron_xpub: SecretStr | None = None
    """The account xpub (m/44'/195'/0') that customers' addresses come from; never a private key. With it, and its
    first address, payments by TRX are open."""
    tron_first_address: str | None = None
    """The wallet's address 0 as the operator's own wallet shows it: the start is refused when it is another."""
    tron_own_addresses: str = ""
    """The operator's own addresses, separated by commas: what they send to customers' addresses, such as TRX for the
    fees of a sweep, is credited to nobody."""
    tron_url: str = "https://api.trongrid.io"
    """A node of TRON with the account index of TronGrid."""
    tron_second_url: str | None = None
    """A second one, asked when the first fails."""
    tron_keys: SecretStr | None = None
    """Keys for the first one, separated by commas; they are used in turn."""
    tron_second_keys: SecretStr | None = None
    """Keys for the second one."""
    tron_network: Literal["mainnet", "shasta", "nile"] = "mainnet"
    """The network; coins of the others are worth nothing."""
    tron_calls_per_second: Annotated[int, Field(ge=1, le=1000)] = 10
    """How often each process asks them. Unit: calls a second."""
    trx_min_credit: Annotated[int, Field(ge=0, le=1000)] = 1
    """Smaller deposits wait until their sum is as large. Unit: TRX or USDT."""
    usdt_contract: str | None = None
    """The contract of USDT (TRC-20), TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t on the main network; none takes TRX only."""
    quote_timeout: Annotated[int, Field(ge=60_000, le=3_600_000)] = 900_000
    """How long a price in TRX is promised. Unit: milliseconds."""
    crypto_spread: Annotated[int, Field(ge=0, le=5000)] = 100
    """What is kept of the price of TRX and USDT. Unit: hundredths of a percent."""
    coingecko_url: str = "https://api.coingecko.com"
    """A source of prices."""
    coingecko_key: SecretStr | None = None
    """A key for it; it answers without one too."""
    coindcx_url: str = "https://api.coindcx.com"
    """A source of prices."""
    wazirx_url: str = "https://api.wazirx.com"
    """A source of prices."""
    supplier_name: str = "Numberdesk"
    """Who issues receipts."""
    supplier_address: str = ""
    """The address on receipts."""
    gst_enabled: bool = False
    """Whether receipts show the tax that is in the amount."""
    gst_supplier_gstin: str | None = None
    """The operator's GSTIN; needed with GST_ENABLED."""
    gst_sac: str | None = None
    """The service's SAC; the operator's accountant picks it. Needed with GST_ENABLED."""
    gst_rate_bps: Annotated[int, Field(ge=0, le=5000)] = 1800
    """The rate. Unit: hundredths of a percent."""
    invoice_series: str = "R"
    """What numbers of receipts begin with, such as R in R/26-27/000123."""
