"""Passes of the notifications slice: sending what waits, reading what the bot was told, forgetting what ended."""

from numberdesk.notifications.jobs._errors import forget_errors, tell_errors
from numberdesk.notifications.jobs._mails import ATTEMPTS_MAX, deliver, forget_ended, pause
from numberdesk.notifications.jobs._relay import deliver_by_relay
from numberdesk.notifications.jobs._telegram import deliver_by_telegram

__all__ = [
    "ATTEMPTS_MAX",
    "deliver",
    "deliver_by_relay",
    "deliver_by_telegram",
    "forget_ended",
    "forget_errors",
    "pause",
    "tell_errors",
]
