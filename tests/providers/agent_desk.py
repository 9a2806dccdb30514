"""Give the tests of the agent family words, and rows of them for a provider."""

import csv
from importlib import resources

from numberdesk.providers.model import ProviderId, Words
from numberdesk.providers.service import Word, words_of


def rows(provider_id: ProviderId) -> list[Word]:
    """Return the list that comes with the program as the words of a provider."""
    text = resources.files("numberdesk.catalogue").joinpath("data", "words_agent.csv").read_text(encoding="utf-8")
    return [
        Word(provider_id, "service" if row["kind"] == "service" else "country", row["word"], row["code"], "list")
        for row in csv.DictReader(text.splitlines())
    ]


WORDS: Words = words_of(rows(ProviderId(1)), means_itself=False)
