"""Hold what the simulated provider sells: services, countries, prices, phone numbers and the texts of messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from types import MappingProxyType
from typing import Final
from zlib import crc32

_CHEAPEST_PAISE: Final = 350
_DEAREST_PAISE: Final = 4500


@dataclass(frozen=True, slots=True)
class Service:
    """A service by its SMS-Activate code; `{first}` and `{last}` in the text are the halves of its `{code}`."""

    code: str
    name: str
    base_paise: int
    digits: int
    text: str


@dataclass(frozen=True, slots=True)
class Country:
    """A country by its SMS-Activate number; a phone number is a prefix and `free_digits` more."""

    number: int
    name: str
    iso: str
    price_percent: int
    prefixes: tuple[str, ...]
    free_digits: int
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A service in a country at its price."""

    service: Service
    country: Country
    cost_paise: int
    count: int


_OPENAI_TEXT: Final = (
    "Your OpenAI verification code is {code}. It works for ten minutes and for one sign-in only. If you did not ask "
    "for it, somebody may have typed your number by mistake and you can ignore this message. Never pass the code on."
)

SERVICES: Final[Mapping[str, Service]] = MappingProxyType(
    {
        service.code: service
        for service in (
            Service("tg", "Telegram", 1850, 5, "Telegram code {code}. Do not give this code to anyone."),
            Service("wa", "WhatsApp", 2100, 6, "Your WhatsApp code: {first}-{last}\nDon't share this code with others"),
            Service("go", "Google, YouTube, Gmail", 900, 6, "G-{code} is your Google verification code."),
            Service("ig", "Instagram", 750, 6, "{first} {last} is your Instagram code. Don't share it."),
            Service("fb", "Facebook", 800, 5, "{code} is your Facebook confirmation code"),
            Service("tw", "Twitter", 650, 6, "Your X confirmation code is {code}."),
            Service("ds", "Discord", 600, 6, "Your Discord verification code is: {code}"),
            Service("lf", "TikTok", 550, 6, "[TikTok] {code} is your verification code, valid for 5 minutes."),
            Service("vi", "Viber", 700, 6, "Your Viber code is {code}. Close this message and enter it."),
            Service("mm", "Microsoft", 500, 6, "Use {code} as Microsoft account security code"),
            Service("am", "Amazon", 850, 6, "{code} is your Amazon OTP. Do not share it with anyone."),
            Service("nf", "Netflix", 600, 6, "{code} is your Netflix verification code. Never share it."),
            Service("ub", "Uber", 700, 4, "Your Uber code is {code}. Never share this code."),
            Service("wx", "Apple", 1200, 6, "Your Apple ID Code is: {code}. Don't share it with anyone."),
            Service("oi", "Tinder", 1600, 6, "Your Tinder code is {code}. Don't share."),
            Service("vk", "VKontakte", 1900, 6, "VK: {code} - your code for signing in"),
            Service("ok", "Odnoklassniki", 800, 6, "OK code: {code}. Do not tell it to anybody."),
            Service("ot", "Any other", 1000, 4, "Your code is {code}"),
            Service("ts", "PayPal", 1300, 6, "PayPal: {code} is your security code. It expires in 10 minutes."),
            Service("hw", "Alipay, Alibaba", 900, 6, "[Alibaba] Verification code {code}, valid for 15 minutes."),
            Service("ew", "Nike", 750, 6, "Your Nike verification code is {code}"),
            Service("uk", "Airbnb", 650, 6, "Your Airbnb verification code is {code}. Don't share it."),
            Service("mt", "Steam", 950, 5, "Steam verification code {code}"),
            Service("dr", "OpenAI", 1400, 6, _OPENAI_TEXT),
            Service("acz", "Claude", 1700, 6, "Your Claude verification code is {code}"),
        )
    }
)

COUNTRIES: Final[Mapping[int, Country]] = MappingProxyType(
    {
        country.number: country
        for country in (
            Country(22, "India", "IN", 100, ("9198", "9199", "9170", "9187", "9163"), 8, ("airtel", "jio", "vi")),
            Country(6, "Indonesia", "ID", 60, ("62812", "62813", "62857", "62878", "62896"), 8, ("telkomsel", "xl")),
            Country(16, "England", "GB", 90, ("44740", "44746", "44751", "44771", "44785"), 7, ("ee", "o2", "three")),
            Country(187, "USA", "US", 170, ("16465", "12134", "13055", "14156", "17187"), 6, ("tmobile", "verizon")),
            Country(0, "Russia", "RU", 120, ("7903", "7905", "7916", "7926", "7985"), 7, ("beeline", "mts", "tele2")),
            Country(2, "Kazakhstan", "KZ", 110, ("7701", "7702", "7705", "7707", "7777"), 7, ("activ", "tele2")),
            Country(4, "Philippines", "PH", 70, ("63905", "63915", "63917", "63927", "63995"), 7, ("globe", "smart")),
            Country(10, "Vietnam", "VN", 75, ("8432", "8433", "8490", "8491", "8498"), 7, ("mobifone", "viettel")),
            Country(15, "Poland", "PL", 115, ("48501", "48601", "48660", "48728", "48795"), 6, ("orange", "play")),
            Country(43, "Germany", "DE", 210, ("491511", "491520", "49160", "49171", "49175"), 7, ("o2", "telekom")),
            Country(73, "Brazil", "BR", 80, ("551196", "551197", "552198", "553199", "554199"), 7, ("claro", "tim")),
            Country(33, "Colombia", "CO", 65, ("57300", "57301", "57310", "57315", "57320"), 7, ("claro", "movistar")),
        )
    }
)

Offers = Mapping[tuple[str, int], Offer]


def offers(*, price_factor: Fraction = Fraction(1)) -> Offers:
    """Price every pair of service and country; the same on every start, multiplied by the factor and rounded up."""
    return MappingProxyType(
        {
            (service.code, country.number): _offer(service, country, price_factor)
            for country in COUNTRIES.values()
            for service in SERVICES.values()
        }
    )


def _offer(service: Service, country: Country, price_factor: Fraction) -> Offer:
    dice = crc32(f"{service.code}:{country.number}".encode())
    # A tenth up or down for each pair, in steps of five paise, so that no two rows of the list look computed.
    spread = service.base_paise * country.price_percent * (90 + dice % 21) // 10_000
    cost_paise = min(max(spread // 5 * 5, _CHEAPEST_PAISE), _DEAREST_PAISE)
    # Some shelves are empty, but never an Indian one: demos and benchmarks buy there.
    count = 0 if dice % 19 == 0 and country.number != 22 else 40 + dice // 7 % 4960
    return Offer(service, country, ceil(cost_paise * price_factor), count)


def phone_number(country: Country, *, sale: int, start: int) -> str:
    """Give a number of the right length for the sale; it repeats only after 5 x 10^free_digits sales.

    The step has no factor in common with ten, so the free digits run through all their values before any returns.
    """
    row, which = divmod(sale, len(country.prefixes))
    free = (row * 7_368_787 + start) % 10**country.free_digits
    return f"{country.prefixes[which]}{free:0{country.free_digits}d}"


def message_text(service: Service, draw: float) -> tuple[str, str]:
    """Return a code and the message that carries it; `draw` is in [0, 1)."""
    code = f"{int(draw * 10**service.digits):0{service.digits}d}"
    half = service.digits // 2
    return code, service.text.format(code=code, first=code[:half], last=code[half:])
