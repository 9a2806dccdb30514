"""The lines that the pages for newcomers tell them to try, as they stand there: each answers what the page says."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.compat.bot import PATH
from tests.http.stand import Client, Stand

PAGES = {"moving-from-sms-activate.md": "activationId", "moving-from-5sim.md": "id"}
"""Each page, with the field of an answer that its variable `$ID` holds."""
LATER = "a few seconds later: "
PATIENCE = 15.0


@dataclass
class Line:
    """What is asked, and what the page says that comes."""

    asked: str
    said: str


def lines_of(page: Path) -> list[Line]:
    """Return the questions of a page with their answers."""
    (block,) = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    found = re.findall(r"^ask (\S+|'[^']*'|\"[^\"]*\")\n# (.*)$", block, re.MULTILINE)
    assert len(found) == block.count("\nask ") > 5, "each question has its answer"
    return [Line(asked.strip("'\""), said) for asked, said in found]


def fits(answer: str, said: str) -> bool:
    """Tell whether an answer is what the page says: figures differ, and … stands for anything."""
    pattern = ".*".join(re.escape(part) for part in re.sub(r"\d+", "0", said).split("…"))
    return re.fullmatch(pattern, re.sub(r"\d+", "0", answer.strip()), re.DOTALL) is not None


def asking(client: Client, page: str) -> Callable[[str], str]:
    """Return what the page's `ask` is."""
    if page == "moving-from-5sim.md":
        bearer = Client(client.port, token=client.key)
        return lambda asked: bearer.get(f"/v1/{asked}").body.decode()
    nobody = Client(client.port)
    return lambda asked: nobody.get(f"{PATH}?api_key={client.key}&{asked}").body.decode()


@pytest.mark.parametrize("page", PAGES)
def test_every_line_of_the_page_answers_what_it_says(stand: Stand, page: str) -> None:
    ask, order_id = asking(stand.customer(), page), ""
    for line in lines_of(ROOT / "docs" / page):
        asked, said = line.asked.replace("$ID", order_id), line.said.removeprefix("the same: ")
        if said.startswith(LATER):
            stand.deliver(int(order_id), "36373")
        end = time.monotonic() + PATIENCE
        while not fits(answer := ask(asked), said.removeprefix(LATER)):
            assert said.startswith(LATER), (asked, answer)
            assert time.monotonic() < end, (asked, answer)
            time.sleep(0.1)
        if bought := re.search(rf'"{PAGES[page]}":(\d+),"phone', answer):
            order_id = bought[1]
    assert order_id
