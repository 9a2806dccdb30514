"""The only reader of the environment: every setting with its unit, default and bounds, checked once at the start."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from numberdesk.base.client_ip import TrustedProxies
from numberdesk.base.limits import NUMBERS, LimitName, parse
from numberdesk.settings._conduct import ConductSettings
from numberdesk.settings._money import MoneySettings

SECRETS = (
    "JWT_SECRET", "API_KEY_SALT", "ENCRYPTION_KEYS", "DATABASE_URL", "DATABASE_OWNER_URL", "SMTP_PASSWORD", "REDIS_URL",
    "BANK_ALERT_KEYS", "RAZORPAY_KEY_SECRET", "RAZORPAY_WEBHOOK_SECRETS", "CASHFREE_CLIENT_SECRETS",
    "PHONEPE_CLIENT_SECRET", "PHONEPE_WEBHOOK_LOGINS", "TRON_XPUB", "TRON_KEYS", "TRON_SECOND_KEYS",
    "COINGECKO_KEY", "METRICS_TOKEN", "SENTRY_DSN", "TELEGRAM_BOT_TOKEN", "APPRISE_URLS",
)  # fmt: skip
"""Settings that may also come as NAME_FILE, the path of a file that holds the value."""

Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]


class BadSettings(RuntimeError):
    """The environment is not usable; `str()` names every wrong setting."""


class Settings(MoneySettings, ConductSettings):
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
    """What API keys are hashed with, at least 16 characters. While it is changed: the new one and the old one,
    separated by a comma; keys that are used meanwhile go over to the new one."""
    jwt_secret: SecretStr | None = None
    """What tokens of sessions are signed with, at least 32 bytes; several are allowed, newest first, separated by
    commas: the newest signs, all verify."""
    encryption_keys: SecretStr | None = None
    """Fernet keys that seal columns of the database, newest first, separated by commas."""
    trusted_proxies: str = ""
    """Proxies whose X-Forwarded-For is believed: addresses and networks, separated by commas."""
    public_base_url: str = ""
    """Where links in mails lead; none is the address that the web process listens on."""
    redis_url: SecretStr | None = None
    """A Redis that shares the API limit between processes; none counts in each process."""
    web_processes: Annotated[int, Field(ge=1, le=1024)] = 1
    """How many web processes share the API limit without a Redis; `serve --workers` sets it for its own."""
    rate_limit_login: str = NUMBERS["login"]
    """Logins of one account from one network."""
    rate_limit_register: str = NUMBERS["register"]
    """Registrations from one network."""
    rate_limit_otp: str = NUMBERS["otp"]
    """Codes tried: of a second factor for one account, of a mail for one address and network."""
    rate_limit_recharge: str = NUMBERS["recharge"]
    """Recharges begun by one account."""
    rate_limit_api: str = NUMBERS["api"]
    """Requests of one account, or of one network without one; `off` is allowed."""
    rate_limit_protocol: str = NUMBERS["protocol"]
    """Requests of one account in the protocols of others' clients; polls of its open orders, one a second each, do not
    count. `off` is allowed."""
    password_min_length: Annotated[int, Field(ge=8, le=128)] = 10
    """The shortest password. Unit: characters."""
    password_complexity: bool = False
    """Whether a password must have small and capital letters, digits and symbols."""
    password_memory: Annotated[int, Field(ge=8, le=1_048_576)] = 19_456
    """Memory that hashing one password takes. Unit: KiB."""
    password_rounds: Annotated[int, Field(ge=1, le=100)] = 2
    """How often that memory is gone through."""
    access_token_timeout: Annotated[int, Field(ge=60_000, le=3_600_000)] = 900_000
    """How long an access token is good for. Unit: milliseconds."""
    session_idle_timeout: Annotated[int, Field(ge=60_000, le=31_536_000_000)] = 1_209_600_000
    """How long a session lives without being used. Unit: milliseconds."""
    session_timeout: Annotated[int, Field(ge=60_000, le=31_536_000_000)] = 5_184_000_000
    """How long a session lives at the most. Unit: milliseconds."""
    smtp_host: str | None = None
    """The server that takes our mails; none lets them wait, and the demo shows them."""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    """Its port."""
    smtp_username: str | None = None
    """Who we are there."""
    smtp_password: SecretStr | None = None
    """The password for that."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted; `none` is for a server on this machine."""
    mail_from: str = "Numberdesk <no-reply@localhost>"
    """The sender of our mails."""
    telegram_bot_token: SecretStr | None = None
    """The token of the bot that writes to the staff's chat and to customers; none is no Telegram."""
    telegram_chat_id: int | None = None
    """The staff's chat; a group's id is negative. None: staff are told by mail only."""
    telegram_topic_id: int | None = None
    """The topic in that chat, where it has topics."""
    telegram_customers: bool = True
    """Whether customers may link their own chat with the bot."""
    telegram_url: str = "https://api.telegram.org"
    """Where the API of Telegram is; a server of one's own has the same one."""
    staff_events: str = "registration,recharge,service,system,error,work"
    """What the staff's chat is told of, separated by commas."""
    apprise_urls: SecretStr | None = None
    """Addresses of apprise that are told the same, separated by blanks; needs the extra `notify`."""
    cancel_timeout: Milliseconds = 120_000
    """The age before which a number cannot be cancelled. Unit: milliseconds."""
    order_timeout: Annotated[int, Field(ge=1000, le=86_400_000)] = 1_200_000
    """How long an order waits for its code. Unit: milliseconds."""
    route: Literal["cheapest", "best"] = "cheapest"
    """How a purchase chooses among servers when it does not say: by price, or by the expected price of a code."""
    webhook_loopback: bool = False
    """Whether customers' webhooks may also go to this machine, by http and on any port: for tests and demonstrations.
    It cannot be on in production."""
    support_close_after: Annotated[int, Field(ge=1, le=365)] = 7
    """How long a ticket that waits for its customer stays open without a word. Unit: days."""
    support_reopen_within: Annotated[int, Field(ge=1, le=365)] = 14
    """How long after its end a customer may reopen a ticket. Unit: days."""
    support_keep: Annotated[int, Field(ge=1, le=3650)] = 180
    """How long texts and pictures of a closed ticket are kept. Unit: days."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    log_form: Literal["auto", "json", "text"] = "auto"
    """JSON or text; auto is text on a terminal."""
    access_log: Literal["all", "errors", "off"] = "all"
    """Which answered requests get a line in the log; `errors` are those with a status from 500 on."""
    metrics_token: SecretStr | None = None
    """What Prometheus shows as its bearer token at /metrics, at least 16 characters; none keeps that page closed."""
    sentry_dsn: SecretStr | None = None
    """Where errors are reported to, cleaned of secrets; needs the extra `sentry`. None reports them to nobody."""
    otel_exporter_otlp_endpoint: str | None = None
    """Where spans of requests and statements are sent to; needs the extra `otel`. Other settings of OpenTelemetry, such
    as `OTEL_TRACES_SAMPLER`, are read by its SDK. None sends none."""
    otel_service_name: str = "numberdesk"
    """What this service is called there."""
    ledger_check_every: Annotated[int, Field(ge=0, le=604_800_000)] = 21_600_000
    """How often the whole ledger and the audit log are checked in the background; 0 leaves it to `numberdesk ledger
    verify` and `audit verify`. What is new in the ledger is checked every minute. Unit: milliseconds."""

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _refuse_other_addresses(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and not address.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must be an address such as postgresql://user:password@host:5432/name")
        return address

    @field_validator("rate_limit_login", "rate_limit_register", "rate_limit_otp", "rate_limit_recharge")
    @classmethod
    def _refuse_no_limit(cls, text: str) -> str:
        if parse(text) is None:
            raise ValueError("cannot be off")
        return text

    @field_validator("rate_limit_api", "rate_limit_protocol")
    @classmethod
    def _refuse_nonsense(cls, text: str) -> str:
        parse(text)
        return text

    @field_validator("trusted_proxies")
    @classmethod
    def _refuse_strange_proxies(cls, text: str) -> str:
        TrustedProxies(text)
        return text

    @field_validator("metrics_token")
    @classmethod
    def _refuse_short_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and (len(token) < 16 or not token.get_secret_value().isascii()):
            raise ValueError("must be at least 16 ASCII characters")
        return token

    @field_validator("staff_events")
    @classmethod
    def _refuse_unknown_events(cls, text: str) -> str:
        known = ("registration", "recharge", "service", "system", "error", "work")
        unknown = [word for word in map(str.strip, text.split(",")) if word and word not in known]
        if unknown:
            raise ValueError(f"may hold {', '.join(known)}, separated by commas")
        return text

    @field_validator("telegram_bot_token")
    @classmethod
    def _refuse_other_tokens(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}", token.get_secret_value()):
            raise ValueError("must be as @BotFather gave it, such as 123456789:AAF and more")
        return token

    @field_validator("telegram_url", "otel_exporter_otlp_endpoint")
    @classmethod
    def _refuse_other_servers(cls, text: str | None) -> str | None:
        if text is not None and not text.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http:// on one machine)")
        return text and text.rstrip("/")

    @field_validator("public_base_url")
    @classmethod
    def _refuse_strange_base(cls, text: str) -> str:
        if text and not text.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http:// on one machine)")
        return text.rstrip("/")

    @model_validator(mode="after")
    def _refuse_bounds_that_cross(self) -> Self:
        if self.min_recharge_amount > self.max_recharge_amount:
            raise ValueError("MIN_RECHARGE_AMOUNT must not be above MAX_RECHARGE_AMOUNT")
        return self

    @model_validator(mode="after")
    def _refuse_doors_in_production(self) -> Self:
        if self.webhook_loopback and self.app_env == "production":
            raise ValueError("WEBHOOK_LOOPBACK must be off in production: customers could reach what listens here")
        return self

    @property
    def limits(self) -> dict[LimitName, str]:
        """The numbers of the limits that can be set."""
        return {
            "login": self.rate_limit_login, "register": self.rate_limit_register, "otp": self.rate_limit_otp,
            "recharge": self.rate_limit_recharge, "api": self.rate_limit_api,
            "protocol": self.rate_limit_protocol,
        }  # fmt: skip

    @property
    def base_url(self) -> str:
        """Where links in mails lead."""
        return self.public_base_url or f"http://{self.host}:{self.port}"

    @property
    def support_days(self) -> tuple[int, int, int]:
        """Days after which tickets are closed in silence, cannot be reopened, and lose their words."""
        return self.support_close_after, self.support_reopen_within, self.support_keep

    @property
    def message_keep(self) -> timedelta:
        """How long texts and codes are kept."""
        return timedelta(hours=self.message_retention)

    @property
    def metadata_keep(self) -> timedelta:
        """How long numbers and addresses are kept."""
        return timedelta(days=self.metadata_retention)

    @property
    def cancel_after(self) -> timedelta:
        """The age before which a number cannot be cancelled."""
        return timedelta(milliseconds=self.cancel_timeout)

    def secret(self, name: str) -> str | None:
        """Return the value of a secret, or None when it is not set."""
        found: SecretStr | None = getattr(self, name)
        return None if found is None else found.get_secret_value()

    @property
    def whole_ledger_every(self) -> timedelta | None:
        """How often the whole ledger is checked in the background; None: never."""
        return timedelta(milliseconds=self.ledger_check_every) if self.ledger_check_every else None

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


def client_environment() -> dict[str, str]:
    """Return what PostgreSQL's client programs may see of our environment: their own settings, and none of ours."""
    own = {name: value for name, value in os.environ.items() if name.startswith("PG") and name != "PG_BIN"}
    return own | {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ} | {"LC_ALL": "C"}
