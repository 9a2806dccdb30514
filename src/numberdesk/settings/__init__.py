"""Every setting, read from the environment once at the start: name, default and bounds."""

from numberdesk.settings._money import CASHFREE_URL, PHONEPE_TOKEN_URL, PHONEPE_URL, RAZORPAY_URL
from numberdesk.settings._settings import (
    SECRETS,
    BadSettings,
    Settings,
    child_environment,
    client_environment,
    load,
)

__all__ = [
    "CASHFREE_URL",
    "PHONEPE_TOKEN_URL",
    "PHONEPE_URL",
    "RAZORPAY_URL",
    "SECRETS",
    "BadSettings",
    "Settings",
    "child_environment",
    "client_environment",
    "load",
]
