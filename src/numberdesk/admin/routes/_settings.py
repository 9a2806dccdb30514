"""What this installation is set to, without its secrets."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from msgspec import Struct
from pydantic import SecretStr

from numberdesk.accounts.model import Caller
from numberdesk.admin.routes._reads import note_read
from numberdesk.base.db import Database
from numberdesk.base.web import ACCESS, Items, Ok
from numberdesk.settings import SECRETS, Settings


class SettingView(Struct, rename="camel", frozen=True):
    """A setting as this process has it. Of a secret only whether it is set."""

    name: str
    value: str | None
    is_default: bool
    is_secret: bool


@get("/admin/settings", summary="Read the settings", opt={ACCESS: "admin:ops"})
async def read_settings(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    caller: NamedDependency[Caller],
) -> Ok[Items[SettingView]]:
    """Read what the process that answers is set to. What staff change while it runs stands at its own addresses."""
    await note_read(db, caller, request, "settings", None)
    return Ok(data=Items([_view(settings, name) for name in sorted(Settings.model_fields)], None))


def _view(settings: Settings, name: str) -> SettingView:
    value, default = getattr(settings, name), Settings.model_fields[name].default
    is_secret = isinstance(value, SecretStr) or name.upper() in SECRETS
    text = "is set" if is_secret else str(value)
    return SettingView(name.upper(), None if value is None else text, value == default, is_secret)
