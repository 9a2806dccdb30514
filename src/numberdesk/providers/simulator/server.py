"""Run the simulated provider as a real HTTP server on loopback, and let tests steer and question it."""

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl

import msgspec
import structlog
from aiohttp import web

from numberdesk.providers.simulator import answers, faults, rentals
from numberdesk.providers.simulator.answers import json_answer, word
from numberdesk.providers.simulator.catalogue import SERVICES, offers
from numberdesk.providers.simulator.chance import draws
from numberdesk.providers.simulator.families import FAMILIES
from numberdesk.providers.simulator.profiles import Mixture, Profile, mixture_of
from numberdesk.providers.simulator.protocol import parse_rupees
from numberdesk.providers.simulator.record import Fact, FactName, Record
from numberdesk.providers.simulator.shop import Rules, Shop
from numberdesk.providers.simulator.webhooks import USUAL, Manner, Webhooks
from numberdesk.providers.simulator.wire import Asked, Call, Intent, Pusher, Wire

_log = structlog.get_logger()

_LONGEST_SLEEP: Final = 60.0
_NO_DRAW: Final = (0.0,) * 8


class Simulator:
    """A running simulator; made by `start`, which returns once it answers, and ended by `stop`.

    The lists of facts are read from the record whenever they are asked for, and stay readable after `stop`. `asked`
    counts the requests that carried the key.
    """

    def __init__(self, *, shop: Shop, wire: Wire, mixture: Mixture, api_key: str) -> None:
        self.name = shop.rules.name
        self.url = ""
        self.base_url = ""
        self.port = 0
        self.webhooks: Webhooks | None = None
        self.asked = 0
        self._shop = shop
        self._wire = wire
        self._mixture = mixture
        self._api_key = api_key.encode()
        self._requests = shop.record.count
        self._purchases = shop.record.count
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_clock = float("inf")
        self._stopped = False
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None, keepalive_timeout=75.0), shutdown_timeout=0.2
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def profile(self) -> str:
        """Name the profile or mixture in force."""
        return self._mixture.name

    @property
    def balance_paise(self) -> int:
        """Say what is left of the buyer's balance."""
        return self._shop.shelf.balance_paise

    @property
    def live_ids(self) -> frozenset[int]:
        """Name the activations that can still receive a code."""
        return frozenset(self._shop.shelf.live)

    @property
    def sold(self) -> list[Fact]:
        """Read the sales; a number handed out twice stands twice, the second time as `duplicate`."""
        return self.facts("sold")

    @property
    def rented(self) -> list[Fact]:
        """Read the numbers that were rented for hours or days, under each of their ids."""
        return self.facts("rented")

    @property
    def delivered(self) -> list[Fact]:
        """Read the messages that arrived, late ones too."""
        return self.facts("delivered")

    @property
    def cancelled(self) -> list[Fact]:
        """Read the cancellations that the buyer asked for."""
        return self.facts("cancelled")

    @property
    def self_cancelled(self) -> list[Fact]:
        """Read the cancellations that the provider made on its own."""
        return self.facts("self_cancelled")

    @property
    def finished(self) -> list[Fact]:
        """Read the activations that ended with a code; `automatic` if the lifetime ended them."""
        return self.facts("finished")

    @property
    def expired(self) -> list[Fact]:
        """Read the activations that ended without a code."""
        return self.facts("expired")

    @property
    def retries(self) -> list[Fact]:
        """Read the requests for one more code."""
        return self.facts("retry")

    @property
    def refused(self) -> list[Fact]:
        """Read what was turned away or swallowed by a fault, with its reason."""
        return self.facts("refused")

    def facts(self, *names: FactName, since: int = 0) -> list[Fact]:
        """Read the record's facts with these names, all of them if none is given, numbered above `since`."""
        return [fact for fact in self._shop.record.facts(since) if not names or fact.fact in names]

    def set_profile(self, profile: str | Profile | Mixture) -> None:
        """Behave differently from the next request on; activations already sold keep their plan.

        Raises:
            ValueError: no profile has that name.
        """
        self._mixture = mixture_of(profile)

    def deliver(self, activation_id: int, text: str, *, code: str | None = None) -> None:
        """Let an SMS arrive now; the code is found in the text when it is not given.

        Raises:
            LookupError: the activation is unknown, or ended so long ago that it is forgotten.
        """
        activation = self._shop.shelf.find(activation_id)
        if activation is None:
            raise LookupError(f"The simulator knows no activation {activation_id}.")
        self._shop.deliver(activation, text, code)
        self._settle()

    def deliver_rental(self, rental_id: int, text: str, *, code: str | None = None) -> None:
        """Let an SMS arrive on a rental now; on one that is over it is lost.

        Raises:
            LookupError: the rental is unknown, or long forgotten.
        """
        rental = self._shop.rentals.find(rental_id)
        if rental is None:
            raise LookupError(f"The simulator knows no rental {rental_id}.")
        rentals.deliver(self._shop, rental, text, code)
        self._settle()

    def push_to(self, url: str) -> None:
        """Post every message from now on to an address, in the form of the family; only once, inside a running loop."""
        wire, key = self._wire, self._api_key.decode()
        if isinstance(wire, Pusher):
            pauses = partial(wire.pauses, self._shop.rules.time_scale)
            webhooks = Webhooks(url, manner=Manner(pauses, wire.is_taken))
            self._shop.on_message = lambda activation, message: webhooks.push(wire.push(activation, message, key))
        else:
            webhooks = Webhooks(url, manner=USUAL)
            self._shop.on_message = lambda activation, message: webhooks.push(answers.webhook_body(activation, message))
            self._shop.on_rental_message = lambda rental, message: webhooks.push(
                answers.rental_webhook_body(rental.id, SERVICES[rental.service].name, message)
            )
        self.webhooks = webhooks

    async def listen(self, *, host: str, port: int, webhook_url: str | None) -> None:
        """Open the port; called by `start`."""
        if webhook_url is not None:
            self.push_to(webhook_url)
        # What became due while nobody ran happens before the first question.
        rentals.run_due(self._shop)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()
        self.port = int(self._runner.addresses[0][1])
        self.base_url = f"http://{host}:{self.port}"
        self.url = self.base_url + self._wire.path
        self._settle()

    async def stop(self) -> None:
        """Hang up on everybody and stop; a second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._runner.cleanup()
        if self.webhooks is not None:
            await self.webhooks.stop()
        self._shop.settle()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = await _read(request)
        if asked.path == "/record" or asked.path.startswith("/control/"):
            return await self._behind_the_scenes(request, asked)
        came_from = asked.path.removeprefix(faults.MOVED)
        is_moved = came_from != asked.path
        asked = replace(asked, path=came_from)
        stranger = self._wire.stranger(asked, self._api_key)
        if stranger is not None:
            return faults.plain(stranger)
        if is_moved:
            self._shop.note_redirect(asked.parameters.get("action", ""))
            return faults.plain(self._answer(Call(self._shop, asked, Profile("moved"), _NO_DRAW, False)))
        return await self._act(request, asked)

    async def _behind_the_scenes(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        if not hmac.compare_digest(asked.parameters.get("api_key", "").encode(), self._api_key):
            return faults.plain(word("BAD_KEY"))
        if asked.path == "/record":
            return await self._send_record(request, asked.parameters)
        if asked.path in ("/control/profile", "/control/deliver") and request.method == "POST":
            return self._control(asked.path, asked.body)
        return web.Response(status=404, text="There is nothing here.")

    async def _act(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        self.asked += 1
        intent = self._wire.intent(asked)
        draw = self._draw(intent)
        profile = self._mixture.pick(draw[0])
        call = Call(self._shop, asked, profile, draw, self._mixture.sells_nothing)
        strike = faults.strike_of(profile, intent=intent, draw=draw, error_words=self._wire.error_words)
        answer = self._answer(call) if strike.acts == "at-once" else word("")
        if strike.acts == "never":
            self._wire.swallow(call, strike.reason)
            self._settle()
        if strike.delay:
            await asyncio.sleep(strike.delay)
        if strike.acts == "late":
            answer = self._answer(call)
        return await faults.spoiled(request, strike, answer)

    def _answer(self, call: Call) -> answers.Answer:
        """Carry out a request; when this returns, its facts are with the operating system."""
        answer = self._wire.answer(call)
        self._settle()
        return answer

    def _draw(self, intent: Intent) -> tuple[float, ...]:
        """Draw for a request; purchases have a counter of their own, so that polling does not change what they meet."""
        seed = self._shop.rules.seed
        if intent == "buy":
            self._purchases += 1
            return draws(seed, self._purchases, purpose="purchase")
        self._requests += 1
        return draws(seed, self._requests, purpose="request")

    async def _send_record(self, request: web.BaseRequest, parameters: Mapping[str, str]) -> web.StreamResponse:
        since = parameters.get("since", "0")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for block in self._shop.record.since(int(since) if since.isdecimal() else 0):
            await response.write(block)
        return response

    def _control(self, path: str, body: bytes) -> web.Response:
        try:
            if path == "/control/profile":
                self.set_profile(msgspec.json.decode(body, type=_SetProfile).profile)
            else:
                wanted = msgspec.json.decode(body, type=_Deliver)
                self.deliver(wanted.activation_id, wanted.text, code=wanted.code)
        except (ValueError, LookupError) as mistake:
            refusal = json_answer({"status": "error", "message": str(mistake)})
            return web.Response(status=400, body=refusal.body, content_type="application/json")
        return faults.plain(json_answer({"status": "success"}))

    def _settle(self) -> None:
        """Write the facts out, then set the alarm for what is due next."""
        self._shop.settle()
        due = self._shop.next_clock()
        if due is None or due >= self._alarm_clock or self._stopped:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._set_alarm(due)

    def _set_alarm(self, clock: float) -> None:
        wait = min(max(0.0, clock - time.monotonic()), _LONGEST_SLEEP)
        self._alarm_clock = clock
        self._alarm = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        """Run what is due; after an error (a full disk, say) try again in a second rather than fall silent."""
        self._alarm, self._alarm_clock = None, float("inf")
        try:
            rentals.run_due(self._shop)
            self._settle()
        except Exception:
            _log.exception("simulator_events_failed", simulator=self.name)
            self._set_alarm(time.monotonic() + 1.0)


class _SetProfile(msgspec.Struct, forbid_unknown_fields=True):
    profile: str


class _Deliver(msgspec.Struct, forbid_unknown_fields=True):
    activation_id: int
    text: str
    code: str | None = None


async def start(
    *,
    api_key: str,
    record_path: Path | None,
    host: str = "127.0.0.1",
    port: int = 0,
    family: str = "sms-activate",
    profile: str | Profile | Mixture = "realistic",
    seed: int = 0,
    min_cancel_age: timedelta = timedelta(seconds=120),
    lifetime: timedelta = timedelta(minutes=20),
    time_scale: float = 1.0,
    webhook_url: str | None = None,
    balance: str = "100000.00",
    name: str = "simulator",
    price_factor: Fraction = Fraction(1),
    echo_order_id: bool = False,
    max_live: int = 500_000,
    keep_ended: int = 20_000,
) -> Simulator:
    """Start a simulated provider and return it once it answers.

    A record that exists is read first, and the simulator goes on with its activations, also with what became due while
    nobody ran. Without a path the record is an unnamed temporary file. `family` is a name of `FAMILIES`.

    Args:
        time_scale: multiplies the life of activations (codes, cancel age, lifetime); 0.01 makes 20 minutes 12 seconds.
        balance: rupees at the very first start, before the sales in the record.
        name: sets simulators apart; their ids and numbers hardly ever meet. Keep it, and the seed, for one record.
        max_live: more live activations than this are refused with CHANNELS_LIMIT.
        keep_ended: that many ended activations still answer; older ones are NO_ACTIVATION.

    Raises:
        ValueError: the family, the profile, the balance, the time scale or a line of the record cannot be used.
        OSError: the port or the record cannot be opened.
    """
    balance_paise = parse_rupees(balance)
    if balance_paise is None or time_scale <= 0 or not api_key:
        raise ValueError("The simulator needs a key, a balance such as 100.00 and a time scale above zero.")
    wire, mixture = _wire_of(family), mixture_of(profile)
    rules = Rules(
        name=name,
        seed=seed,
        balance_paise=balance_paise,
        min_cancel_age=min_cancel_age * time_scale,
        lifetime=lifetime * time_scale,
        time_scale=time_scale,
        echo_order_id=echo_order_id,
        max_live=max_live,
        keep_ended=keep_ended,
    )
    shop = Shop(record=Record(record_path), offers=offers(price_factor=price_factor), rules=rules)
    simulator = Simulator(shop=shop, wire=wire, mixture=mixture, api_key=api_key)
    try:
        await simulator.listen(host=host, port=port, webhook_url=webhook_url)
    except BaseException:
        await simulator.stop()
        raise
    return simulator


def _wire_of(family: str) -> Wire:
    if family not in FAMILIES:
        raise ValueError(f"No family is called {family!r}; there are: {', '.join(FAMILIES)}.")
    return FAMILIES[family]


async def _read(request: web.BaseRequest) -> Asked:
    """Merge query and form; real clients send blanks around names."""
    pairs = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
    body = await request.read() if request.can_read_body else b""
    if request.content_type == "application/x-www-form-urlencoded":
        pairs += parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    elif request.content_type == "multipart/form-data":
        pairs += [(name, value) for name, value in (await request.post()).items() if isinstance(value, str)]
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Asked(request.method, request.path, {name.strip(): value for name, value in pairs}, headers, body)
