"""How much may be bought, what is withheld, and how long what is kept."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class ConductSettings(BaseSettings):
    """The settings of responsible use."""

    orders_first_day: Annotated[int, Field(ge=1, le=1_000_000)] = 25
    """Purchases a day (UTC) of an account that registered in the last 24 hours."""
    orders_first_week: Annotated[int, Field(ge=1, le=1_000_000)] = 250
    """The same until it is seven days old, and of all such accounts of one network or payer together."""
    orders_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = 2_000
    """Purchases of one account in an hour by the clock, and of all accounts of one network or payer together."""
    orders_per_day: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    """The same in a day (UTC)."""
    countries_per_day: Annotated[int, Field(ge=1, le=1_000)] = 60
    """Countries in which one account buys in a day (UTC)."""
    orders_open: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Orders of one account that are open at a time."""
    cancel_ratio: Annotated[int, Field(ge=1, le=100)] = 70
    """Above it, of an account's last 30 numbers, it pauses; 100 is never. Unit: percent."""
    cancel_pause: Annotated[int, Field(ge=1000, le=86_400_000)] = 600_000
    """How long it pauses after its newest cancelled number. Unit: milliseconds."""
    quarantine: bool = True
    """Whether messages are withheld that look like those of a bank, a payment service or an authority."""
    message_retention: Annotated[int, Field(ge=24, le=72)] = 72
    """After it texts and codes of orders that are over are taken out of the database. Unit: hours."""
    metadata_retention: Annotated[int, Field(ge=180, le=3_650)] = 400
    """After it numbers, addresses and devices are taken out of the records of orders and people. Unit: days."""
    abuse_contact: str = ""
    """Where misuse of a number is told to us: a mail address or a page."""
