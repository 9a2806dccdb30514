"""`docs/settings.md` names every setting, and says what it is for."""

from numberdesk.settings import Settings
from tests.architecture.renew import ROOT, settings, settings_notes
from tests.architecture.sources import listed


def test_every_setting_says_what_it_is_for() -> None:
    silent = [name for name in Settings.model_fields if not settings_notes().get(name)]
    assert not silent, listed(silent, "Write a sentence as a string below the field in settings.py; then `make docs`.")


def test_the_settings_document_is_what_the_settings_are() -> None:
    document = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert document == settings(), "docs/settings.md is not what settings.py says: run `make docs`."
    assert [name for name in Settings.model_fields if f"| `{name.upper()}` |" not in document] == []
