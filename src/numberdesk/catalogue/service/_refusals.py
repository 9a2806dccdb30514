"""Why something cannot be bought, as errors: one per reason, with what would help."""

from dataclasses import dataclass

from numberdesk.base.errors import AppError
from numberdesk.base.money import Paise, format_rupees
from numberdesk.catalogue.model import CountryCode, ServiceCode


@dataclass(eq=False)
class UnknownService(AppError):
    """No service has this code."""

    service: str

    code = "unknown_service"
    message = 'There is no service "{service}". Use a code from the list of services, such as "tg" for Telegram.'


@dataclass(eq=False)
class UnknownCountry(AppError):
    """No country has this number or ISO code."""

    country: str

    code = "unknown_country"
    message = (
        'There is no country "{country}". Use its number from the list of countries, or its two letters, such as "IN".'
    )


@dataclass(eq=False)
class UnknownServer(AppError):
    """No provider has this name or number."""

    server: str

    code = "unknown_server"
    message = 'There is no server "{server}". Use the name or number that an offer shows, or none for the best price.'


@dataclass(eq=False)
class UnknownOperator(AppError):
    """No offer for the service and country is of this operator."""

    operator: str
    known: list[str]

    code = "unknown_operator"

    def sentence(self) -> str:
        known = ", ".join(self.known)
        return f'Operator "{self.operator}" is not offered for this service and country. These are: {known}.'


@dataclass(eq=False)
class ServiceBlocked(AppError):
    """The service is of a category that is not sold, for a reason that can be told."""

    service: ServiceCode
    reason: str

    status = 403
    code = "service_blocked"
    message = "This service is not sold here. {reason}"


@dataclass(eq=False)
class ServiceOff(AppError):
    """The operator switched the service off, or nobody has classified it yet."""

    service: str

    code = "service_off"
    message = "This service is not on sale at the moment."


@dataclass(eq=False)
class CountryOff(AppError):
    """The operator switched the country off."""

    country: CountryCode

    code = "country_off"
    message = "Numbers of this country are not on sale at the moment."


@dataclass(eq=False)
class ServerOff(AppError):
    """The operator switched this provider off."""

    server: str

    code = "server_off"
    message = 'Server "{server}" is switched off at the moment. Choose another one, or none for the best price.'


@dataclass(eq=False)
class NotOffered(AppError):
    """Nobody sells this service in this country, or the wanted server does not."""

    service: ServiceCode
    country: CountryCode
    server: str | None

    code = "not_offered"

    def sentence(self) -> str:
        if self.server is None:
            return "This service is not offered in this country. Choose another country."
        return f'Server "{self.server}" does not offer this service in this country. Choose another one, or none.'


@dataclass(eq=False)
class UnknownHours(AppError):
    """Nobody rents for so many hours: not this service in this country, or nothing at all."""

    hours: int
    known: list[int]

    code = "unknown_hours"

    def sentence(self) -> str:
        if not self.known:
            return "Nothing of this is rented by the hour at the moment."
        known = ", ".join(map(str, self.known))
        return f"Nobody rents this for {self.hours} hours. The times there are, in hours: {known}."


@dataclass(eq=False)
class PriceTooLow(AppError):
    """There are numbers, but none at the price that the caller is ready to pay."""

    max_price_paise: Paise
    minimum_paise: Paise

    code = "price_too_low"

    def sentence(self) -> str:
        return f"maxPrice is below the cheapest price, which is {format_rupees(self.minimum_paise)}."


@dataclass(eq=False)
class NoStock(AppError):
    """The offers exist and all are sold out, or of servers that are switched off."""

    service: ServiceCode
    country: CountryCode

    status = 409
    code = "no_numbers"
    category = "provider"
    message = "No numbers for this service and country are free right now. Try again soon, or choose another country."
