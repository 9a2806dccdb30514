"""One notice of each template, as its golden files show it; `python -m tests.notifications.letters` renews them."""

import sys
from collections.abc import Mapping
from pathlib import Path

from numberdesk.notifications.model import Notice, Template, Value
from numberdesk.notifications.service import render

GOLDEN = Path(__file__).parent / "golden"

LINK = "https://numbers.example.com/verify#token=vT4q0xP7nS1m9aLw3cKz8yRb5eGd2hJf6uXoQiNtWpE"
TRANSACTION = "RC01KAZ3Q7M1X2Y3Z4A5B6C7D8E9"
AT, IP = "14 March 2026, 09:26 IST", "203.0.113.7"
SAMPLES: Mapping[Template, Mapping[str, Value]] = {
    "verify_email": {"name": "Asha", "link": LINK, "code": "482133", "hours": 24, "minutes": 10},
    "already_registered": {"name": "", "link": "https://numbers.example.com/reset"},
    "reset_password": {"name": "Asha", "link": LINK, "minutes": 30, "ip": IP},
    "password_changed": {"name": "Asha", "at": AT, "ip": IP},
    "new_sign_in": {"name": "Asha", "at": AT, "ip": IP, "device": "Firefox on Android"},
    "second_factor_on": {"name": "Asha", "at": AT, "ip": IP},
    "second_factor_off": {"name": "Asha", "at": AT, "ip": None},
    "recovery_code_used": {"name": "Asha", "at": AT, "ip": IP, "left": 1},
    "api_key_made": {"name": "Asha", "key_name": "shop", "prefix": "nd_live_4fQ2", "at": AT, "ip": IP},
    "sessions_ended": {"name": "Asha", "at": AT},
    "mail_test": {"name": "", "at": AT},
    "recharge_credited": {
        "name": "Asha",
        "amount": "250.37",
        "receipt": "R/25-26/000123",
        "method": "UPI",
        "reference": "…1837",
        "at": AT,
        "note": "it came late",
    },
    "recharge_rejected": {"name": "Asha", "amount": "250.37", "transaction": TRANSACTION, "reason": "no such payment"},
    "recharge_question": {"name": "Asha", "amount": "250.37", "transaction": TRANSACTION, "question": "Which bank?"},
    "recharge_refunded": {
        "name": "Asha",
        "amount": "100.00",
        "receipt": "R/25-26/000124",
        "method": "UPI (Razorpay)",
        "at": AT,
    },
    "order_refunded": {"name": "Asha", "order": 501, "amount": "21.30"},
    "provider_alerts": {
        "name": "Asha",
        "count": 3,
        "begun": "alpha, balance: 49.99 rupees are left, less than 50.00. • beta, breaker: 9 of 10 calls failed.",
        "over": "beta, spend limit: the day's 500.00 rupees are spent.",
    },
    "maintenance_news": {
        "name": "Asha",
        "begun": "recharge: The bank is away., until 2026-03-14 10:30 UTC • server 2: It answers nothing.",
        "over": "service tg: Telegram changes its codes.",
    },
    "webhook_disabled": {
        "name": "Asha",
        "endpoint": 12,
        "host": "hooks.example.com",
        "reason": "it has not taken an event for 3 days",
        "at": AT,
    },
    "ticket_answered": {"name": "Asha", "ticket": 12, "order": 4711, "recharge": None, "is_asked": 0},
    "ticket_news": {
        "name": "Ravi",
        "ticket": 12,
        "news": "a new ticket",
        "priority": "normal",
        "order": None,
        "recharge": TRANSACTION,
    },
    "staff_news": {
        "name": "Ravi",
        "title": "Money waits for a second person",
        "facts": "Request: 12 • What: credit • Amount: 6000.00 rupees • Account: 77 • Asked by: staff 3",
        "path": "/admin/requests",
        "note": "Nobody can agree any more after 24 hours.",
    },
    "webhook_made": {
        "name": "Asha",
        "endpoint": 12,
        "host": "hooks.example.com",
        "is_new": True,
        "at": AT,
        "ip": IP,
    },
    "channel_off": {
        "name": "Asha",
        "channel": "Telegram",
        "problem": "the bot was blocked there, or removed",
        "at": AT,
    },
    "low_balance": {"name": "Asha", "balance": "49.10", "threshold": "50.00"},
    "order_code": {"name": "Asha", "order": 77, "number": "919812345678", "code": "48213"},
    "telegram_linked": {"name": "Asha", "at": AT},
    "telegram_unlinked": {"name": "Asha", "at": AT, "ip": IP},
}


def notice(
    template: Template = "verify_email", *, key: str = "verify:1", to: str = "asha@example.com", **data: Value
) -> Notice:
    """Return the sample of a template, with some of its data replaced."""
    return Notice(template, to=to, data={**SAMPLES[template], **data}, dedupe_key=key, account_id=None)


def written(template: Template) -> dict[str, str]:
    """Return what the golden files of a template should hold, by file name."""
    subject, text, html = render(template, SAMPLES[template])
    return {f"{template}.txt": f"Subject: {subject}\n\n{text}", f"{template}.html": html}


def main() -> None:
    """Write all golden files."""
    for template in SAMPLES:
        for name, text in written(template).items():
            (GOLDEN / name).write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
