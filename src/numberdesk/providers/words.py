"""What a provider calls our services and countries."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Words:
    """What a provider calls our services and countries, both ways. Without a row a word means itself, if it may."""

    means_itself: bool = True
    services: Mapping[str, str] = field(default_factory=dict)
    countries: Mapping[str, int] = field(default_factory=dict)
    service_words: Mapping[str, str] = field(default_factory=dict)
    country_words: Mapping[int, str] = field(default_factory=dict)

    def service(self, word: str) -> str | None:
        """Return our code of the provider's service. A word for which there is another one no longer means itself."""
        if word in self.services:
            return self.services[word]
        return word if self.means_itself and word not in self.service_words else None

    def country(self, word: str) -> int | None:
        """Return our number of the provider's country."""
        if word in self.countries:
            return self.countries[word]
        if not (self.means_itself and word.isascii() and word.isdecimal() and len(word) < 7):
            return None
        return None if int(word) in self.country_words else int(word)

    def service_word(self, code: str) -> str | None:
        """Return what the provider calls our service."""
        return self.service_words.get(code, code if self.means_itself else None)

    def country_word(self, code: int) -> str | None:
        """Return what the provider calls our country."""
        return self.country_words.get(code, str(code) if self.means_itself else None)
