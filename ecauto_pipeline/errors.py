"""Every exception of the project, as a tree by what a caller can do.

EcautoError
├── Misconfigured            stop: a person must change a setting, a file or a credential (exit 2)
│   ├── CredentialsRejected  the marketplace does not accept the credentials
│   └── DatabaseUnusable     the database cannot be opened, or is of another revision
├── Unavailable              wait, then try again; nothing is known about the effect
│   ├── NotSent              the server was not reached: there was no effect
│   ├── NotServed            the server says that it serves nobody now (HTTP 503)
│   ├── Throttled            the quota is used up (HTTP 429)
│   └── NoProof              an answer came, but it proves nothing (HTML, empty, cut off)
│       └── Implausible      a shop shows nothing of what we have listed there
├── Deferred                 do the rest later, without counting it as failed
├── Rejected                 the request was understood and refused; the same request fails again
│   └── ItemGone             the item is not on the shop any more
├── AccountStopped           leave this account alone until a person has acted
└── RunIncomplete            the run did what it could and names what it could not
"""


class EcautoError(Exception):
    """The root: its message names the thing and the remedy, and never holds a secret."""


class Misconfigured(EcautoError):
    """A setting, file or argument is missing or wrong; nothing was changed."""


class CredentialsRejected(Misconfigured):
    """The marketplace refused the credentials, also after they were read again."""


class DatabaseUnusable(Misconfigured):
    """The database cannot be opened, is not ours, or is newer than this program."""


class Unavailable(EcautoError):
    """No usable answer came; the call may or may not have had an effect."""


class NotSent(Unavailable):
    """The server was not reached: the call has had no effect."""


class NotServed(Unavailable):
    """The server says that it serves nobody now, as during maintenance (HTTP 503)."""


class Throttled(Unavailable):
    """The marketplace says that the quota is used up.

    `retry_after` is what its answer asks for, in seconds; None when it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoProof(Unavailable):
    """An answer that is not proof: an error page, an empty body, truncated or unexpected JSON."""


class Implausible(NoProof):
    """A shop that was read whole and cannot be ours as it was; `shown` is how many items it had."""

    def __init__(self, message: str, shown: int) -> None:
        super().__init__(message)
        self.shown = shown


class Deferred(EcautoError):
    """A budget is used up: the rest is left for later and counted, not failed."""


class Rejected(EcautoError):
    """The marketplace understood the request and refused it; `code` is its own word."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ItemGone(Rejected):
    """The item does not exist on the shop any more."""


class AccountStopped(EcautoError):
    """The account needs a person: re-authorisation, or BASE has restricted it."""


class RunIncomplete(EcautoError):
    """Part of the work failed; what was done is kept, and the message names the rest."""
