"""simple-smshub-api waits for a code, a poll a second, where hardly a call is allowed."""

from backstage import CLASSIC, KEY, ask, raised, saw
from SMSHubAPI import SMSHubAPI

SMSHubAPI.API_URL = CLASSIC
mine = SMSHubAPI(KEY, retries=0, delay=0, raise_for_status=True)
mine.get_number("tg", country=22)
asked, polls = mine.get_status, 0


def counted() -> object:
    """Count, and have the code come after ten polls."""
    global polls
    polls += 1
    if polls == 10:
        ask("deliver", mine.activation_id, "12345")
    return asked()


mine.get_status = counted
saw("code", mine.wait_for_sms(interval=1, timeout=60))
saw("polls", polls)
saw("over the limit", raised(lambda: [mine.sms_sent() for _ in range(20)][-1]))
