"""Encryption at rest and keyed hashes."""

import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class WrongKey(RuntimeError):
    """A stored secret cannot be read with the keys at hand; the start must stop, not guess."""


class Vault:
    """Encrypts small secrets with the newest key and reads those of older keys."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, plain: str) -> bytes:
        """Encrypt text for a column."""
        return self._fernet.encrypt(plain.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt a column.

        Raises:
            WrongKey: none of the keys fits.
        """
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise WrongKey(
                "A stored secret cannot be decrypted: ENCRYPTION_KEYS is not the one it was stored with."
            ) from None


def new_key() -> str:
    """Return a fresh key for a `Vault`."""
    return Fernet.generate_key().decode()


def keyed_hash(secret: str, *, key: str) -> bytes:
    """Return HMAC-SHA256: right for secrets of 112 bits and more, which need no slow hash.

    Source: ASVS 5.0, 6.5.2.
    """
    return hmac.digest(key.encode(), secret.encode(), hashlib.sha256)
