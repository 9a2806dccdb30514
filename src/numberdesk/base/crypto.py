"""Encryption at rest and keyed hashes."""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_ENDS = "\0"
"""Between the place and the text of a sealed column; no text of ours contains it."""
_CANNOT_READ = "A stored secret cannot be decrypted: ENCRYPTION_KEYS is not the one it was stored with."
_MISPLACED = "A stored secret stands where it does not belong."


class WrongKey(RuntimeError):
    """A stored secret cannot be read with the keys at hand; the start must stop, not guess."""


class Vault:
    """Encrypts small secrets with the newest key and reads those of older keys."""

    def __init__(self, keys: list[str]) -> None:
        self._newest = Fernet(keys[0])
        self._fernet = MultiFernet([self._newest, *(Fernet(key) for key in keys[1:])])
        self._oldest = keys[-1]

    def seal(self, plain: str, *, about: str = "") -> bytes:
        """Encrypt text for a column.

        Args:
            about: the place it belongs to, such as "accounts.phone:12"; it cannot be opened as that of another place.
        """
        return self._fernet.encrypt(f"{about}{_ENDS}{plain}".encode() if about else plain.encode())

    def open(self, sealed: bytes, *, about: str = "") -> str:
        """Decrypt a column.

        Raises:
            WrongKey: none of the keys fits, or it was sealed for another place.
        """
        try:
            plain = self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise WrongKey(_CANNOT_READ) from None
        if not about:
            return plain
        place, _, text = plain.partition(_ENDS)
        if place != about:
            raise WrongKey(_MISPLACED)
        return text

    def seal_bytes(self, plain: bytes, *, about: str) -> bytes:
        """Encrypt what is no text, such as a picture, for the place it belongs to."""
        return self._fernet.encrypt(f"{about}{_ENDS}".encode() + plain)

    def open_bytes(self, sealed: bytes, *, about: str) -> bytes:
        """Decrypt what `seal_bytes` encrypted.

        Raises:
            WrongKey: as in `open`.
        """
        try:
            place, _, plain = self._fernet.decrypt(sealed).partition(_ENDS.encode())
        except InvalidToken:
            raise WrongKey(_CANNOT_READ) from None
        if place != about.encode():
            raise WrongKey(_MISPLACED)
        return plain

    def fingerprint(self, plain: str) -> bytes:
        """Return a keyed hash by which two equal texts are known as such; another one after the oldest key goes."""
        return keyed_hash(plain, key=self._oldest)

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether the newest key sealed it; if not, `renewed` does."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def renewed(self, sealed: bytes, *, about: str = "") -> bytes:
        """Return text, or what is no text, sealed again with the newest key for the same place.

        Raises:
            WrongKey: as in `open`.
        """
        if about:
            return self.seal_bytes(self.open_bytes(sealed, about=about), about=about)
        return self.seal(self.open(sealed))


def new_key() -> str:
    """Return a fresh key for a `Vault`."""
    return Fernet.generate_key().decode()


def key_from_passphrase(passphrase: str, *, salt: bytes) -> str:
    """Return the key for a `Vault` that a passphrase stands for: slow on purpose, a tenth of a second and 32 MiB."""
    made = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())
    return base64.urlsafe_b64encode(made).decode()


def keyed_hash(secret: str, *, key: str) -> bytes:
    """Return HMAC-SHA256: right for secrets of 112 bits and more, which need no slow hash.

    Source: ASVS 5.0, 6.5.2.
    """
    return hmac.digest(key.encode(), secret.encode(), hashlib.sha256)
