"""The only reader of the environment: every setting with its unit, default and bounds, checked once at the start."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

SECRETS = ("API_KEY_SALT", "ENCRYPTION_KEYS", "DATABASE_URL", "DATABASE_OWNER_URL")
"""Settings that may also come as NAME_FILE, the path of a file that holds the value."""

Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]


class BadSettings(RuntimeError):
    """The environment is not usable; `str()` names every wrong setting."""


class Settings(BaseSettings):
    """One field per environment variable; the name in the environment is the field's in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True)

    app_env: Literal["production", "development", "demo"] = "production"
    """What this installation is for; `numberdesk demo` sets demo."""
    host: str = "127.0.0.1"
    """The address that the web process listens on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    """The port that it listens on; 0 lets the system choose."""
    database_url: SecretStr | None = None
    """The PostgreSQL that web and worker use; none starts the embedded one."""
    database_owner_url: SecretStr | None = None
    """The same database as the role that may change the schema; none takes DATABASE_URL."""
    database_pool: Annotated[int, Field(ge=2, le=200)] = 10
    """Connections that each process keeps open. Unit: connections."""
    numberdesk_home: Path | None = None
    """The folder of the embedded database and its secrets; none is .numberdesk in the current folder."""
    pg_bin: Path | None = None
    """The folder of PostgreSQL's programs, instead of the packaged ones."""
    api_key_salt: SecretStr | None = None
    """The pepper that API keys are hashed with, at least 16 characters; another one makes every key invalid."""
    encryption_keys: SecretStr | None = None
    """Fernet keys that seal providers' keys, newest first, separated by commas."""
    cancel_timeout: Milliseconds = 120_000
    """The age before which a number cannot be cancelled. Unit: milliseconds."""
    order_timeout: Annotated[int, Field(ge=1000, le=86_400_000)] = 1_200_000
    """How long an order waits for its code. Unit: milliseconds."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    log_form: Literal["auto", "json", "text"] = "auto"
    """JSON or text; auto is text on a terminal."""

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _refuse_other_addresses(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and not address.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must be an address such as postgresql://user:password@host:5432/name")
        return address

    @property
    def cancel_after(self) -> timedelta:
        """The age before which a number cannot be cancelled."""
        return timedelta(milliseconds=self.cancel_timeout)

    @property
    def order_lifetime(self) -> timedelta:
        """How long an order waits for its code."""
        return timedelta(milliseconds=self.order_timeout)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then NAME_FILE."""
        return init_settings, env_settings, _FileSource(settings_cls)


class _FileSource(PydanticBaseSettingsSource):
    """Reads NAME_FILE for secrets, as container platforms hand them over."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Unused: `__call__` answers for all fields at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in SECRETS:
            path = _environment(f"{name}_FILE")
            if path is None:
                continue
            try:
                found[name.lower()] = Path(path).read_text().strip()
            except OSError as problem:
                raise BadSettings(f"{name}_FILE: cannot read {path}: {problem.strerror}.") from None
            except UnicodeDecodeError:
                raise BadSettings(f"{name}_FILE: {path} does not hold text.") from None
        return found


def _environment(name: str) -> str | None:
    return os.environ.get(name) or None


def load(**overrides: Any) -> Settings:
    """Read the environment; arguments of a command win over it.

    Raises:
        BadSettings: names every setting that is missing or wrong.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as problem:
        lines = [
            f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg'].removeprefix('Value error, ')}."
            for item in problem.errors()
        ]
        raise BadSettings(" ".join(lines)) from None


def child_environment(**changes: str) -> dict[str, str]:
    """Return this process' environment with changes, for a process that we start."""
    return {**os.environ, **changes}
