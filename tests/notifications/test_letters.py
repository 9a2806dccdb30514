"""Notices in words: what each template says, and what people's own text cannot do in it."""

import re
from typing import get_args

import jinja2
import pytest
from jinja2 import meta

from numberdesk.notifications.model import FIELDS, Template
from numberdesk.notifications.service import ENVIRONMENT, render
from tests.notifications.letters import GOLDEN, SAMPLES, notice, written

TEMPLATES: tuple[Template, ...] = get_args(Template)


def names_in(file: str) -> set[str]:
    """Return the names that a template asks for."""
    assert ENVIRONMENT.loader is not None
    source, _, _ = ENVIRONMENT.loader.get_source(ENVIRONMENT, file)
    return set(meta.find_undeclared_variables(ENVIRONMENT.parse(source))) - {"parts"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_asks_for_its_fields_and_no_others(template: Template) -> None:
    for form in ("txt", "html"):
        assert names_in(f"{template}.{form}") | {"name"} == FIELDS[template]
    assert SAMPLES[template].keys() == FIELDS[template]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_is_told_too_little_is_no_mail(template: Template) -> None:
    for field in FIELDS[template]:
        less = {name: value for name, value in SAMPLES[template].items() if name != field}
        with pytest.raises(jinja2.UndefinedError):
            render(template, less)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_says_what_its_golden_files_hold(template: Template) -> None:
    for name, text in written(template).items():
        golden = (GOLDEN / name).read_text(encoding="utf-8")
        assert text == golden, "If it is meant so: python -m tests.notifications.letters"


def test_there_are_no_other_golden_files() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {name for template in TEMPLATES for name in written(template)}


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_html_fetches_nothing_and_links_only_where_it_was_told_to(template: Template) -> None:
    _, _, html = render(template, SAMPLES[template])
    assert not re.search(r"<(img|script|link|iframe|form|style)\b|url\(|@import|src=", html)
    links = [SAMPLES[template]["link"]] if "link" in SAMPLES[template] else []
    assert re.findall(r'href="([^"]*)"', html) == links


def test_markup_and_braces_in_a_name_are_only_text() -> None:
    name = "<script>alert(1)</script> {{ 7 * 7 }} {% raw %}"
    subject, text, html = render("password_changed", notice("password_changed", name=name).data)
    assert subject == "Your password was changed"
    assert f"Hello {name}," in text
    assert "<script" not in html
    assert "Hello &lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }} {% raw %}," in html


@pytest.mark.parametrize("name", ["Asha\r\nBcc: all", "Asha\u2028Bcc", "Asha\x00\x0b\x0c\x85Bcc", "\u202eahsA"])
def test_a_name_stays_on_its_line(name: str) -> None:
    _, text, html = render("password_changed", notice("password_changed", name=name).data)
    greeting = text.splitlines()[0]
    assert greeting.startswith("Hello ")
    assert greeting.endswith(",")
    assert not re.search("[\x00-\x09\x0b-\x1f\x85\u2028\u202e]", text + html)


@pytest.mark.parametrize(
    "name", ["You won: https://evil.example", "see evil.com", "WWW.evil", "write to evil@example", "a://b"]
)
def test_a_name_that_would_become_a_link_is_left_out(name: str) -> None:
    _, text, html = render("verify_email", notice(name=name).data)
    assert text.startswith("Hello,\n")
    assert "evil" not in text + html


@pytest.mark.parametrize("name", ["Dr. A. P. J. Rao", "O'Neil", "अनिल कुमार", "José-María"])
def test_real_names_are_greeted(name: str) -> None:
    assert render("verify_email", notice(name=name).data)[1].startswith(f"Hello {name},\n")


def test_long_text_of_people_is_cut() -> None:
    _, text, _ = render("new_sign_in", notice("new_sign_in", name="a" * 5000, device="b" * 5000).data)
    assert len(text) < 700
    assert "…" in text


def test_a_link_is_never_cut() -> None:
    link = "https://numbers.example.com/verify#token=" + "x" * 500
    _, text, html = render("verify_email", notice(link=link).data)
    assert text.count(f"\n{link}\n") == 1
    assert html.count(link) == 2


def test_one_is_not_many() -> None:
    _, text, _ = render("verify_email", notice(hours=1, minutes=1).data)
    assert "within 1 hour:" in text
    assert "within 1 minute:" in text
