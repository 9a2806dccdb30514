"""The 5sim protocol, version 1, as its client: REST with bare-text errors, words in place of codes, no reference.

Nobody but the server tells what an unanswered purchase came to, so a lost sale is found in the list of orders. No
function raises for anything a provider or the network does.

Source: the provider's documentation of its API, version 1.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlsplit

from yarl import URL

from numberdesk.base.http_client import TOO_LARGE, Answer, NoAnswer
from numberdesk.base.money import Paise
from numberdesk.providers.adapters import five_sim_lists as lists
from numberdesk.providers.adapters import five_sim_parse as parse
from numberdesk.providers.line import LIST_BODY_MAX, Line, Question, ask, ask_twice, ceiling_text, not_sold, parsed
from numberdesk.providers.model import (
    ANY_OPERATOR,
    ActiveList,
    CancelAnswer,
    Capabilities,
    Done,
    DoneAnswer,
    Listing,
    LookAnswer,
    Pushed,
    RefusalReason,
    Refused,
    RentAnswer,
    Unknown,
    UpstreamOffer,
    Wanted,
)

PATH: Final = "/v1"
DIALECTS: Final[Mapping[str, Capabilities]] = MappingProxyType(
    {"five-sim": Capabilities(cancel_after_ms=0, lifetime_ms=900_000)}
)
PUSH_TAKEN: Final = b""
PAGE_SIZE: Final = 100
PAGES_MAX: Final = 200
COUNTRIES_AT_ONCE: Final = 8
COUNTRIES_MAX: Final = 1000
"""More than there are: a list of them would be asked for one by one."""
LIFETIMES_DIFFER: Final = timedelta(minutes=10)
"""By how much an order may outlive one that was bought after it."""


def endpoint(url: str) -> URL:
    """Return the address to call: one that ends with a version is taken as it is, a root gets the version."""
    root = url.rstrip("/")
    return URL(root if urlsplit(root).path.endswith(PATH) else root + PATH)


async def rent(line: Line, wanted: Wanted, *, until: float) -> RentAnswer:
    """Buy one number with one request that is never repeated: the provider may have sold although no answer came.

    The protocol knows a ceiling for any operator only. A named one may cost more than was wanted, and then counts as
    `Unknown`: the number is found among the orders, fits none of ours by its price, and is cancelled.
    """
    provider = line.provider
    product, country = line.words.service_word(wanted.service), line.words.country_word(wanted.country)
    asked: tuple[tuple[str | None, RefusalReason], ...] = (
        (country, "bad_country"),
        (wanted.operator, "bad_operator"),
        (product, "bad_service"),
    )
    segments: list[str] = []
    for word, reason in asked:
        # A segment of dots alone would be taken for a step in the path.
        if not word or not word.strip("."):
            return Refused(reason, "the provider has no word for it")
        segments.append(word)
    ceiling = ceiling_text(wanted.ceiling_paise, provider.paise_per_unit)
    if not ceiling:
        return Refused("price_changed", "the ceiling is below the smallest price")
    params = {"maxPrice": ceiling} if wanted.operator == ANY_OPERATOR else {}
    question = _question(line, "rent", "user", "buy", "activation", *segments, subject=wanted.reference, params=params)
    answer = await ask(line, question, until=until)
    if isinstance(answer, NoAnswer):
        return not_sold(answer)
    return parse.rent(
        answer.body, answer.status, ceiling_paise=wanted.ceiling_paise, paise_per_unit=provider.paise_per_unit
    )


async def look(line: Line, upstream_id: str, *, until: float) -> LookAnswer:
    """Read the state of one order."""
    answer = await ask_twice(line, _of_order(line, "look", "check", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.look(answer.body, answer.status, upstream_id=upstream_id)


async def active(line: Line, *, until: float) -> ActiveList | Unknown:
    """Read the newest orders, page by page, until all that can still be alive were read.

    Orders live about equally long. So when the oldest one read had ended well before the newest was bought, every
    older one has ended too, and the rest of the history can be left alone without looking at a clock.
    """
    first = await _page(line, 0, until)
    if isinstance(first, Unknown):
        return first
    # A server that lists the oldest first has the newest at the other end: pages are read from there.
    pages = [first] if first.is_newest_first or first.rows >= first.total else []
    while len(pages) < PAGES_MAX:
        read = sum(page.rows for page in pages)
        # A purchase meanwhile moves every row one place on, and the total grows with it.
        if read >= max(page.total for page in (first, *pages)) or _are_all_older_over(pages):
            return _list_of(pages, is_whole=all(page.is_readable for page in pages))
        offset = read if first.is_newest_first else max(0, first.total - read - first.rows)
        page = await _page(line, offset, until)
        if isinstance(page, Unknown) or not page.rows:
            break
        pages.append(page)
    return _list_of(pages, is_whole=False)


async def cancel(line: Line, upstream_id: str, *, until: float) -> CancelAnswer:
    """Cancel an order. When the provider no longer knows it as a live one, a look says whether a code won."""
    answer = await ask(line, _of_order(line, "cancel", "cancel", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    outcome = parse.cancel(answer.body, answer.status, upstream_id=upstream_id)
    if not isinstance(outcome, parse.LookAgain):
        return outcome
    answer = await ask_twice(line, _of_order(line, "look", "check", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.after_refused_cancel(answer.body, answer.status, upstream_id=upstream_id)


async def finish(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Tell the provider that the code was right and the order is over."""
    answer = await ask(line, _of_order(line, "finish", "finish", upstream_id), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.finish(answer.body, answer.status, upstream_id=upstream_id)


async def another_code(line: Line, upstream_id: str, *, until: float) -> DoneAnswer:
    """Say that one more code may come, and ask nothing: a number takes messages by itself until it is finished."""
    return Done()


async def listing(line: Line, *, until: float) -> Listing | Unknown:
    """Read the whole price list with its stock, and the countries' names."""
    answer = await ask_twice(line, _guest(line, "countries"), until=until, body_max=LIST_BODY_MAX)
    names = () if isinstance(answer, NoAnswer) else await parsed(lists.countries, answer)
    known = frozenset(name.word for name in names) | frozenset(line.words.countries)
    answer = await ask_twice(line, _guest(line, "prices"), until=until, body_max=LIST_BODY_MAX)
    if answer is TOO_LARGE and 0 < len(names) <= COUNTRIES_MAX:
        found = await _prices_by_country(line, known, [name.word for name in names], until)
    else:
        found = await _prices(line, answer, known)
    if isinstance(found, Unknown):
        return found
    return Listing(found, await asyncio.to_thread(lists.products, found), names)


async def balance(line: Line, *, until: float) -> Paise | Unknown:
    """Read what is left of our money at the provider, without what is frozen for live orders."""
    answer = await ask_twice(line, _question(line, "balance", "user", "profile"), until=until)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return parse.balance(answer.body, answer.status, paise_per_unit=line.provider.paise_per_unit)


def pushed(body: bytes) -> tuple[Pushed, ...] | None:
    """Return None: this protocol posts nothing."""
    return None


def _are_all_older_over(pages: Sequence[lists.Page]) -> bool:
    if not pages:
        return False
    oldest_end, newest_start = pages[-1].oldest_end, pages[0].newest_start
    return oldest_end is not None and newest_start is not None and oldest_end < newest_start - LIFETIMES_DIFFER


def _list_of(pages: Sequence[lists.Page], *, is_whole: bool) -> ActiveList:
    # A row that moved to the next page was read twice; the newer page comes last.
    found = {activation.upstream_id: activation for page in reversed(pages) for activation in page.activations}
    return ActiveList(tuple(found.values()), is_whole)


async def _page(line: Line, offset: int, until: float) -> lists.Page | Unknown:
    params = {
        "category": "activation",
        "limit": str(PAGE_SIZE),
        "offset": str(offset),
        "order": "id",
        "reverse": "true",
    }
    question = _question(line, "active", "user", "orders", params=params)
    answer = await ask_twice(line, question, until=until, body_max=LIST_BODY_MAX)
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return await parsed(lists.orders, answer, words=line.words, paise_per_unit=line.provider.paise_per_unit)


async def _prices(
    line: Line, answer: Answer | NoAnswer, countries: frozenset[str]
) -> tuple[UpstreamOffer, ...] | Unknown:
    if isinstance(answer, NoAnswer):
        return Unknown(answer.reason)
    return await parsed(lists.prices, answer, countries=countries, paise_per_unit=line.provider.paise_per_unit)


async def _prices_by_country(
    line: Line, countries: frozenset[str], words: list[str], until: float
) -> tuple[UpstreamOffer, ...] | Unknown:
    """Read the prices of each country, for a list that is too long in one piece; all of them or nothing."""
    places = asyncio.Semaphore(COUNTRIES_AT_ONCE)

    async def of(word: str) -> tuple[UpstreamOffer, ...] | Unknown:
        async with places:
            question = _guest(line, "prices", params={"country": word})
            answer = await ask_twice(line, question, until=until, body_max=LIST_BODY_MAX)
        return await _prices(line, answer, countries)

    offers: list[UpstreamOffer] = []
    for found in await asyncio.gather(*map(of, words)):
        if isinstance(found, Unknown):
            return found
        offers.extend(found)
    return tuple(offers)


def _of_order(line: Line, action: str, verb: str, upstream_id: str) -> Question:
    return _question(line, action, "user", verb, upstream_id, subject=upstream_id)


def _guest(line: Line, what: str, *, params: Mapping[str, str] = MappingProxyType({})) -> Question:
    """Ask for what everybody may read; the key stays here."""
    return Question("listing", _url(line, "guest", what), "", params, {"Accept": "application/json"})


def _question(
    line: Line, action: str, *segments: str, subject: str = "", params: Mapping[str, str] = MappingProxyType({})
) -> Question:
    headers = {"Authorization": f"Bearer {line.api_key}", "Accept": "application/json"}
    return Question(action, _url(line, *segments), subject, params, headers)


def _url(line: Line, *segments: str) -> URL:
    path = "/".join(quote(segment, safe="") for segment in segments)
    return URL(f"{str(line.endpoint).rstrip('/')}/{path}", encoded=True)
