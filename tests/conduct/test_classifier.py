"""What is withheld and what is let through, on a corpus of messages; the figures of docs/conduct.md."""

import re

import pytest

from numberdesk.conduct.classifier import looks_protected, names_of
from numberdesk.conduct.model import Sign
from tests.architecture.sources import ROOT
from tests.conduct.corpus import ORDINARY, PROTECTED, UNSEEN, Sample


def judged(sample: Sample) -> Sign | None:
    names = () if sample.service == "Any other" else names_of(sample.service)
    return looks_protected(sample.text, sender=sample.sender, names=names)


def figures(samples: list[Sample]) -> tuple[int, int, int]:
    """Return how many were rightly withheld, wrongly withheld, and missed."""
    withheld = [sample for sample in samples if judged(sample) is not None]
    right = sum(sample.is_protected for sample in withheld)
    return right, len(withheld) - right, sum(sample.is_protected for sample in samples) - right


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(PROTECTED) + len(ORDINARY) + len(UNSEEN) >= 300
    assert len({(sample.service, sample.text, sample.sender) for sample in PROTECTED + ORDINARY + UNSEEN}) >= 300


def test_no_ordinary_code_is_withheld() -> None:
    wrong = [(sample.service, sample.text, judged(sample)) for sample in ORDINARY if judged(sample) is not None]
    assert not wrong


def test_what_the_rules_were_written_with_is_withheld() -> None:
    missed = [(sample.service, sample.text) for sample in PROTECTED if judged(sample) is None]
    assert not missed


def test_the_figures_of_the_document_are_those_of_the_corpus() -> None:
    told = (ROOT / "docs/conduct.md").read_text(encoding="utf-8")
    for name, samples in (("written with", PROTECTED + ORDINARY), ("unseen", UNSEEN)):
        right, wrong, missed = figures(samples)
        row = re.search(rf"^\| {name} \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \|$", told, re.M)
        assert row is not None, name
        precision, recall = right / (right + wrong) * 100, right / (right + missed) * 100
        assert (int(row[1]), row[2], row[3]) == (len(samples), f"{precision:.1f}", f"{recall:.1f}"), name


@pytest.mark.parametrize(
    "text",
    ["Your HDFC\u200b Bank OTP is 4821", "Your \uff28\uff24\uff26\uff23 Bank OTP is 4821", "hdfc   bank OTP 4821"],
)
def test_tricks_of_writing_hide_nothing(text: str) -> None:
    assert looks_protected(text, names=("Telegram",)) == Sign("bank", "hdfc bank")


def test_signs_hold_no_code() -> None:
    for sample in PROTECTED:
        sign = judged(sample)
        assert sign is not None
        assert not re.search(r"\d{4}", sign.words)


@pytest.mark.parametrize("length", [10_000, 200_000])
def test_a_huge_text_takes_no_time_to_speak_of(length: int) -> None:
    assert looks_protected("a/c xx" * (length // 6), names=("Telegram",)) is None
    assert looks_protected("at amazon " * (length // 10) + " otp 4821", names=("Amazon",)) is None
