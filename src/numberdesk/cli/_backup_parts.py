"""What a backup holds besides the dump: the manifest, and the secrets, sealed with a passphrase if there is one."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from numberdesk import __version__
from numberdesk.base import clock
from numberdesk.base.backup_file import BadBackup, Part, Reader
from numberdesk.base.crypto import Vault, WrongKey, key_from_passphrase
from numberdesk.base.migrate_files import Migration
from numberdesk.cli._place import STORED, CommandFailed
from numberdesk.settings import Settings

FORM = 1
"""The form of the file; a reader refuses a later one."""
DATABASE, SECRETS, SEALED, MANIFEST = "database.dump", "secrets.json", "secrets.json.sealed", "manifest.json"
PASSPHRASE_MIN = 12


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    form: int
    numberdesk: str
    made_at: str
    """When the snapshot was taken, by the database's clock."""
    postgres: str
    migrations: dict[str, str]
    """Every applied file and its checksum."""
    rows: dict[str, int]
    """How many rows of money there are, by what they are."""
    sha256: dict[str, str]
    """The sums of the other parts."""
    fingerprints: dict[str, list[str]]
    """For each secret: a short sum of each of its values, newest first."""
    salt: str | None = None
    """With a passphrase: what it is mixed with."""


class _Sealed(msgspec.Struct, frozen=True):
    secrets: dict[str, str]
    database: str
    """The sum of the dump that these secrets belong to: nobody without the passphrase can put another one in."""


def secrets_for(settings: Settings) -> dict[str, str]:
    """Return the secrets without which a database is worth little.

    Raises:
        CommandFailed: one is not known here.
    """
    values = {name: getattr(settings, name) for name in STORED}
    lacking = [name.upper() for name, value in values.items() if value is None]
    if lacking:
        raise CommandFailed(
            f"{' and '.join(lacking)} must be set: without them nobody can read what a backup of this database holds."
        )
    return {name: value.get_secret_value() for name, value in values.items()}


def fingerprint(secret: str) -> str:
    """Return a short text that tells whether two secrets are the same, and nothing else of them."""
    return hashlib.sha256(f"numberdesk fingerprint\0{secret}".encode()).hexdigest()[:12]


def fingerprints(known: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the fingerprints of every value of every secret, newest first."""
    return {
        name: [fingerprint(part.strip()) for part in value.split(",") if part.strip()] for name, value in known.items()
    }


def read_passphrase(path: Path | None) -> str | None:
    """Return the passphrase of a file.

    Raises:
        CommandFailed: the file cannot be read, or holds too little.
    """
    if path is None:
        return None
    try:
        passphrase = path.read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise CommandFailed(f"The passphrase cannot be read from {path}: {problem.strerror}.") from problem
    except UnicodeDecodeError:
        raise CommandFailed(f"The passphrase cannot be read from {path}: it does not hold text.") from None
    if len(passphrase) < PASSPHRASE_MIN:
        raise CommandFailed(f"The passphrase in {path} must have at least {PASSPHRASE_MIN} characters.")
    return passphrase


def secrets_part(known: Mapping[str, str], dump: Part, passphrase: str | None) -> tuple[str, bytes, str | None]:
    """Return the name and content of the part with the secrets, and the salt if a passphrase seals them."""
    if passphrase is None:
        return SECRETS, json.dumps(dict(known), indent=1).encode(), None
    salt = secrets.token_bytes(16)
    plain = msgspec.json.encode(_Sealed(dict(known), dump.sha256)).decode()
    sealed = Vault([key_from_passphrase(passphrase, salt=salt)]).seal(plain, about=SEALED)
    return SEALED, sealed, base64.b64encode(salt).decode()


def manifest_part(
    *,
    made_at: str,
    postgres: str,
    migrations: Sequence[Migration],
    rows: Mapping[str, int],
    parts: Sequence[Part],
    known: Mapping[str, str],
    salt: str | None,
) -> bytes:
    """Return the content of the manifest."""
    manifest = Manifest(
        form=FORM, numberdesk=__version__, made_at=made_at, postgres=postgres, salt=salt, rows=dict(rows),
        migrations={item.file: item.checksum for item in migrations}, sha256={part.name: part.sha256 for part in parts},
        fingerprints=fingerprints(known),
    )  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def read_manifest(backup: Reader, ours: Sequence[Migration]) -> Manifest:
    """Return the manifest of a backup that this version can use.

    Raises:
        BadBackup: it is damaged, or of a newer version, or of one with other migrations.
    """
    if MANIFEST not in backup.parts or DATABASE not in backup.parts or not {SECRETS, SEALED} & backup.parts.keys():
        raise BadBackup(f"{backup.path} is no backup of Numberdesk: a part is missing.")
    raw = backup.read(MANIFEST)
    try:
        form = msgspec.json.decode(raw, type=dict[str, object]).get("form")
        if isinstance(form, int) and form > FORM:
            raise BadBackup(f"{backup.path} was made by a newer version of Numberdesk: restore it with that one.")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError:
        raise BadBackup(f"{backup.path} is damaged: its {MANIFEST} cannot be read.") from None
    known = {item.file: item.checksum for item in ours}
    newer = sorted(manifest.migrations.keys() - known.keys())
    if newer:
        raise BadBackup(
            f"{backup.path} was made by version {manifest.numberdesk}, which is newer than this one ({__version__}): "
            f"{newer[0]} is not known here. Restore it with that version or a later one."
        )
    if changed := sorted(name for name, checksum in manifest.migrations.items() if known[name] != checksum):
        raise BadBackup(
            f"{backup.path} was made by another {changed[0]} than the one of this version: "
            f"restore it with version {manifest.numberdesk}."
        )
    if any(manifest.sha256.get(name) != part.sha256 for name, part in backup.parts.items() if name != MANIFEST):
        raise BadBackup(f"{backup.path} is damaged: its manifest names other parts than it holds.")
    return manifest


def open_secrets(backup: Reader, manifest: Manifest, passphrase: str | None) -> dict[str, str]:
    """Return the secrets of a backup.

    Raises:
        CommandFailed: they are sealed and the passphrase is missing or wrong.
        BadBackup: they belong to another dump, or cannot be read.
    """
    try:
        if SECRETS in backup.parts:
            return msgspec.json.decode(backup.read(SECRETS), type=dict[str, str])
        if passphrase is None:
            raise CommandFailed("The secrets of this backup are sealed: name their passphrase with --passphrase-file.")
        vault = Vault([key_from_passphrase(passphrase, salt=base64.b64decode(manifest.salt or ""))])
        found = msgspec.json.decode(vault.open(backup.read(SEALED), about=SEALED), type=_Sealed)
    except WrongKey:
        raise CommandFailed("The passphrase is wrong: the secrets of this backup were sealed with another.") from None
    except (msgspec.MsgspecError, ValueError):
        raise BadBackup(f"{backup.path} is damaged: its secrets cannot be read.") from None
    if found.database != backup.parts[DATABASE].sha256:
        raise BadBackup(f"{backup.path} was changed: its database is not the one that its secrets were sealed with.")
    return found.secrets


def name_of_now() -> str:
    """Return a name for a backup that is made into a folder."""
    return f"numberdesk-{clock.now():%Y%m%dT%H%M%SZ}.backup"
