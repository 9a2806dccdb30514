"""`config`: every setting with its value and where it comes from, and everything that is wrong with them, at once."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from rich.markup import escape
from rich.table import Table

from numberdesk import till
from numberdesk.base import http_client, telemetry
from numberdesk.cli._backup_parts import fingerprint
from numberdesk.cli._findings import Finding, conclude, ok, show, warning, wrong
from numberdesk.cli._place import DEFAULT_HOME, HOME, STORED, CommandFailed, console, read_secrets, run
from numberdesk.cli._serve import mailer_of
from numberdesk.main import limiter_of, secrets_of
from numberdesk.settings import SECRETS, BadSettings, Settings, child_environment

ALIKE = 0.84
"""How alike two names are of which one is a slip of the other."""
OURS = {"NUMBERDESK_JOINS"}
"""Names that a server sets for the processes it starts."""
FAMILIES = (
    "NUMBERDESK_", "RATE_LIMIT_", "SMTP_", "TRON_", "RAZORPAY_", "CASHFREE_", "PHONEPE_", "GST_", "DATABASE_",
    "TELEGRAM_", "ENCRYPTION_", "JWT_", "WEBHOOK_", "PASSWORD_M", "PASSWORD_R",
)  # fmt: skip
"""How names begin that only we would use."""
RANDOM_MIN = 32
"""Characters from which on a fingerprint tells nothing of a secret."""
RENAMED = {
    "MONGO_URI": "DATABASE_URL", "MONGODB_URI": "DATABASE_URL", "NODE_ENV": "APP_ENV", "REDIS_URI": "REDIS_URL",
    "JWT_SECRET_KEY": "JWT_SECRET", "SECRET_KEY": "JWT_SECRET", "BASE_URL": "PUBLIC_BASE_URL",
    "SMTP_USER": "SMTP_USERNAME", "SMTP_PASS": "SMTP_PASSWORD",
}  # fmt: skip
"""What other programs and the first design call what we call otherwise."""
PASSWORD = re.compile(r"(?<=//)[^/@\s]*@")


class _WithoutFiles(Settings):
    """Settings whose files are read here: one that cannot be read would end the reading of all."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment."""
        return named["init_settings"], named["env_settings"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="Settings.", no_args_is_help=True)
    group.command("check")(check)
    app.add_typer(group, name="config")


def check(home: Path = HOME) -> None:
    """Show every setting, its value and its source, and everything that is wrong with them at once."""
    environment = child_environment()
    table = Table("setting", "value", "from")
    for name, field in Settings.model_fields.items():
        table.add_row(*_line(name.upper(), field, environment))
    console.print(table)
    findings, _ = examine(home)
    for finding in findings:
        show(finding)
    conclude(findings)


def examine(home: Path | None) -> tuple[list[Finding], bool]:
    """Return what is wrong with the settings and what looks like a slip, and whether a command can work with them."""
    environment = child_environment()
    settings, found = _read(environment)
    if settings is not None:
        found += _about_secrets(settings, home)
    is_usable = not found
    if settings is not None:
        found += run(_about_parts(settings))
    found += [*_slips(environment), *_twice(environment)]
    return found or [ok("settings", f"{len(Settings.model_fields)} settings are in order")], is_usable


def _line(name: str, field: FieldInfo, environment: Mapping[str, str]) -> tuple[str, str, str]:
    given = _given(name, environment)
    if given is not None:
        shown = _hidden(name, given) if name in SECRETS else PASSWORD.sub("…@", given)
        return name, escape(shown), "environment"
    path = environment.get(f"{name}_FILE")
    if name in SECRETS and path:
        text = _content(path)
        return name, "?" if text is None else escape(_hidden(name, text)), escape(f"{name}_FILE ({path})")
    default = "" if field.default is None else str(field.default)
    return name, escape(default), "default"


def _given(name: str, environment: Mapping[str, str]) -> str | None:
    return environment.get(name) or environment.get(name.lower()) or None


def _content(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _hidden(name: str, value: str) -> str:
    """Return what may be shown of a secret: of ours that are random, whether two machines have the same."""
    if name.lower() not in STORED or len(value) < RANDOM_MIN:
        return "set"
    return "set, " + " and ".join(fingerprint(part.strip()) for part in value.split(",") if part.strip())


def _read(environment: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Read the settings; those that are wrong count as unset, so that what depends on several is checked as well."""
    found: list[Finding] = []
    replaced: dict[str, Any] = {}
    for name in SECRETS:
        path = environment.get(f"{name}_FILE")
        if path and _given(name, environment) is None:
            text = _content(path)
            if text is None:
                found.append(wrong(name, f"{path} cannot be read as text", f"Correct {name}_FILE, or the file's mode."))
            replaced[name.lower()] = text
    for _ in range(2 + len(Settings.model_fields)):
        try:
            return _WithoutFiles(**replaced), found
        except ValidationError as problem:
            for item in problem.errors():
                name = ".".join(map(str, item["loc"]))
                words = item["msg"].removeprefix("Value error, ")
                found.append(wrong(name.upper() or "settings", words, _fix(name)))
                # The words name the settings when they do not fit together.
                for part in [name, *re.findall(r"[A-Z_]{4,}", words if not name else "")]:
                    if part.lower() in Settings.model_fields:
                        replaced[part.lower()] = Settings.model_fields[part.lower()].default
    return None, found


def _fix(name: str) -> str:
    field = Settings.model_fields.get(name)
    if field is None:
        return "Change one of them."
    default = f", which is {field.default}" if field.default not in (None, "") else ""
    return f"{_allowed(field)}, or unset it for the default{default}."


def _allowed(field: FieldInfo) -> str:
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if kinds and all(isinstance(kind, str) for kind in kinds):
        return f"Take one of {', '.join(kinds)}"
    bounds = {name: getattr(item, name) for item in field.metadata for name in ("ge", "le") if hasattr(item, name)}
    if {"ge", "le"} <= bounds.keys():
        return f"Take {bounds['ge']:,} to {bounds['le']:,}"
    return {bool: "Take true or false", int: "Take a whole number"}.get(kinds[0] if kinds else str, "Correct it")


def _about_secrets(settings: Settings, home: Path | None) -> list[Finding]:
    """Check each of the three secrets as the start would, without stopping at the first."""
    where = (home or settings.numberdesk_home or DEFAULT_HOME).absolute()
    try:
        kept = read_secrets(where)
    except CommandFailed as problem:
        return [wrong("secrets", str(problem))]
    good = {name: SecretStr(make()) for name, make in STORED.items()}
    is_embedded = settings.database_url is None
    found = []
    for name in STORED:
        value = getattr(settings, name) or (SecretStr(kept[name]) if name in kept else None)
        if value is None and is_embedded:
            continue  # the first start makes it
        try:
            secrets_of(settings.model_copy(update=good | {name: value}))
        except BadSettings as problem:
            words = str(problem).partition(": ")[2].rstrip(".")
            fix = f"`numberdesk keys new {name.upper()}` makes one; keep it, since what is stored needs it."
            found.append(wrong(name.upper(), words, fix))
    values = [value for name in STORED if (value := getattr(settings, name)) is not None]
    if len({value.get_secret_value() for value in values}) < len(values):
        found.append(wrong("secrets", "two of the secrets are the same", "Give each a value of its own."))
    return found


async def _about_parts(settings: Settings) -> list[Finding]:
    """Check what is set up by halves."""
    found = []
    try:
        mailer_of(settings)
    except BadSettings as problem:
        found.append(_of(problem))
    for look in (_about_redis, _about_sentry, _about_tracing):
        try:
            look(settings)
        except (BadSettings, telemetry.ExtraMissing) as problem:
            found.append(_of(problem))
    async with http_client.session() as session:
        return found + [_of(problem) for problem in till.problems(settings, session)]


def _about_redis(settings: Settings) -> None:
    limiter_of(settings, "api", settings.rate_limit_api)


def _about_sentry(settings: Settings) -> None:
    if (dsn := settings.secret("sentry_dsn")) is not None:
        telemetry.find_sentry(dsn)


def _about_tracing(settings: Settings) -> None:
    if settings.otel_exporter_otlp_endpoint is not None:
        telemetry.find_tracing()


def _of(problem: Exception) -> Finding:
    name, _, words = str(problem).partition(": ")
    return wrong(name, words.rstrip("."), "See docs/settings.md.")


def _slips(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Find names that look like settings and are none: what they say would count for nothing."""
    known = {name.upper() for name in Settings.model_fields}
    files = {f"{name}_FILE" for name in SECRETS}
    for name in sorted(environment):
        upper = name.upper()
        if upper in known | files | OURS or not environment[name]:
            continue
        if upper in RENAMED:
            yield warning(name, "is not a setting", f"Here it is called {RENAMED[upper]}.")
        elif upper.endswith("_FILE") and upper.removesuffix("_FILE") in known:
            yield warning(name, "is not read", f"Only secrets come as files: set {upper.removesuffix('_FILE')} itself.")
        elif close := difflib.get_close_matches(upper, sorted(known | files), n=1, cutoff=ALIKE):
            yield warning(name, "is not a setting", f"Did you mean {close[0]}?")
        elif upper.startswith(FAMILIES):
            yield warning(name, "is not a setting", "docs/settings.md names all of them.")


def _twice(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name in SECRETS:
        if _given(name, environment) is not None and environment.get(f"{name}_FILE"):
            yield warning(name, f"is set, and {name}_FILE too", f"{name} wins: unset one of them.")
    for name in Settings.model_fields:
        if environment.get(name) and environment.get(name.upper(), environment[name]) != environment[name]:
            yield warning(name.upper(), f"is set twice, as {name} too", "Unset one of them.")
