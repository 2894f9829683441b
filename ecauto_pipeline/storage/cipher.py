"""Encryption of credentials and tokens at rest."""

from base64 import urlsafe_b64encode
from functools import cached_property

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ecauto_pipeline.errors import Misconfigured

PREFIX = "enc:v1:"
"""Marks what is encrypted, and how."""

_SALT = b"ecauto_pipeline at rest v1"
"""Fixed, so that every process derives the same key from the passphrase alone."""


class Cipher:
    """Encrypts texts with a passphrase; without one, they stay as they are."""

    def __init__(self, secret_key: str = "") -> None:
        self._secret_key = secret_key

    def encrypt(self, text: str) -> str:
        """The text as it is to be stored."""
        if not self._secret_key:
            return text
        return PREFIX + self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """The text that was stored, encrypted or not.

        Raises:
            Misconfigured: it is encrypted, and the key is missing or another one.
        """
        if not stored.startswith(PREFIX):
            return stored
        if not self._secret_key:
            raise Misconfigured(
                "the stored credentials are encrypted: set ECAUTO_SECRET_KEY to the passphrase"
                " that they were saved with"
            )
        try:
            return self._fernet.decrypt(stored.removeprefix(PREFIX).encode()).decode()
        except InvalidToken:
            raise Misconfigured(
                "ECAUTO_SECRET_KEY is not the passphrase that the stored credentials were saved"
                " with: set it back, or connect each account again (ecauto base connect ACCOUNT)"
            ) from None

    @cached_property
    def _fernet(self) -> Fernet:
        # Percival's numbers for interactive use: 16 MB, and less than 0.1 s.
        derive = Scrypt(salt=_SALT, length=32, n=2**14, r=8, p=1)
        return Fernet(urlsafe_b64encode(derive.derive(self._secret_key.encode())))
