"""How fast messages go to Telegram: token buckets for all, each chat and each group, and pauses that it asks for.

Its exact limits are unpublished; ignoring a refusal leads to a ban. Known are about 30 a second for all, one a second
for a chat, and 20 a minute for a group, so we stay below. Source: https://core.telegram.org/bots/faq.
"""

from dataclasses import dataclass, field

from numberdesk.base import clock

ALL_PER_SECOND = 25.0
CHAT_PER_SECOND = 1.0
GROUP_PER_SECOND = 18 / 60
GROUP_AT_ONCE = 2.0
"""With 18 more in each minute, no minute has more than 20."""
CHATS_MAX = 10_000
REFUSALS_FOR_ALL = 2
"""So many chats paused at once mean that all are meant."""


@dataclass
class Bucket:
    """Lets so many through each second, and so many at once after a rest."""

    rate: float
    at_once: float
    level: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level, self.at = self.at_once, clock.seconds()

    def wait(self, now: float) -> float:
        """Return the seconds until one more may pass."""
        self.level = min(self.at_once, self.level + max(0.0, now - self.at) * self.rate)
        self.at = now
        return max(0.0, (1.0 - self.level) / self.rate)

    def take(self) -> None:
        """Let one pass."""
        self.level -= 1.0

    @property
    def is_rested(self) -> bool:
        """Nobody can tell it from a new one."""
        return self.level >= self.at_once


@dataclass
class Pace:
    """What one process knows of the pace; one process speaks with Telegram at a time."""

    all: Bucket = field(default_factory=lambda: Bucket(ALL_PER_SECOND, ALL_PER_SECOND))
    chats: dict[int, list[Bucket]] = field(default_factory=dict)
    paused: dict[int, float] = field(default_factory=dict)
    all_paused: float = 0.0

    def wait(self, chat_id: int) -> float:
        """Return the seconds until a message may go to a chat; 0 is now, and then it counts as gone."""
        now = clock.seconds()
        pause = max(self.all_paused, self.paused.get(chat_id, 0.0)) - now
        if pause > 0:
            return pause
        buckets = [self.all, *self._of(chat_id)]
        wait = max(bucket.wait(now) for bucket in buckets)
        if wait == 0:
            for bucket in buckets:
                bucket.take()
        return wait

    def pause(self, chat_id: int, seconds: float) -> None:
        """Send nothing to a chat for a while; to nobody, when others are paused too."""
        now = clock.seconds()
        self.paused = {chat: end for chat, end in self.paused.items() if end > now}
        self.paused[chat_id] = now + seconds
        if len(self.paused) >= REFUSALS_FOR_ALL:
            self.all_paused = max(self.all_paused, now + seconds)

    def _of(self, chat_id: int) -> list[Bucket]:
        if chat_id not in self.chats:
            if len(self.chats) >= CHATS_MAX:
                self._forget_rested()
            # Groups and channels have negative ids.
            groups = [Bucket(GROUP_PER_SECOND, GROUP_AT_ONCE)] if chat_id < 0 else []
            self.chats[chat_id] = [Bucket(CHAT_PER_SECOND, 1.0), *groups]
        return self.chats[chat_id]

    def _forget_rested(self) -> None:
        now = clock.seconds()
        for buckets in self.chats.values():
            for bucket in buckets:
                bucket.wait(now)
        self.chats = {
            chat: buckets for chat, buckets in self.chats.items() if not all(bucket.is_rested for bucket in buckets)
        }
