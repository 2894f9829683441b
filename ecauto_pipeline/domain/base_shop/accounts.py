"""What BASE has given us to act for an account, and what it says of the shop."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from ecauto_pipeline.errors import Misconfigured


class AccountState(StrEnum):
    """Whether an account may be used, or waits for a person."""

    OK = "ok"
    NEEDS_REAUTH = "needs_reauth"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is stored of an account's access; a refresh token works once.

    `refresh_started_at` is set while a refresh is under way, and stays when its answer was lost.
    """

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    obtained_at: datetime | None = None
    scope: str = ""
    refresh_started_at: datetime | None = None
    previous_refresh_token: str = field(default="", repr=False)
    state: AccountState = AccountState.OK
    state_reason: str = ""
    shop_id: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return (self.access_token, self.refresh_token, self.previous_refresh_token)


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop behind an access token."""

    id: str
    name: str = ""
    url: str = ""


def authorization_code(address: str, state: str) -> str:
    """The code in the address that BASE sent a person to after they allowed the access.

    Raises:
        Misconfigured: it holds no code, or answers another request.
    """
    answer = parse_qs(urlsplit(address.strip()).query)
    if "error" in answer:
        raise Misconfigured(f"BASE did not allow it: {answer['error'][0]}")
    if answer.get("state") != [state]:
        raise Misconfigured("this address answers another request: start again")
    if not answer.get("code"):
        raise Misconfigured("there is no code in this address: paste all of it")
    return answer["code"][0]
