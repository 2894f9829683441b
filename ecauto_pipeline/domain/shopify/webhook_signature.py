"""Whether a webhook comes from Shopify: its body is signed with the app's client secret."""

import hmac
from base64 import b64encode
from collections.abc import Iterable


def signature(body: bytes, secret: str) -> str:
    """What Shopify sends in `X-Shopify-Hmac-Sha256` with this body.

    >>> signature(b"{}", "secret")
    'dzJZAsrKgS3CWXM6rNBGtzgXNyx3e42VtAJkdHRRbhM='
    """
    return b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def is_signed(body: bytes, given: str, secrets: Iterable[str]) -> bool:
    """Whether the signature was made with one of the secrets; an empty one signs nothing.

    After a rotation the old secret signs for up to an hour, so there may be several.
    """
    # All are compared, so that the time it takes does not tell which one came close.
    fitting = [
        hmac.compare_digest(signature(body, secret).encode(), given.encode())
        for secret in secrets
        if secret
    ]
    return any(fitting)
