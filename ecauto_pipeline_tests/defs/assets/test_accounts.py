"""Working through the accounts of a run."""

from collections.abc import Iterator

import pytest

from ecauto_pipeline.defs.assets.accounts import PROBLEMS_SHOWN, each_account
from ecauto_pipeline.errors import CredentialsRejected, RunIncomplete


def test_the_trouble_of_one_account_is_not_the_others() -> None:
    done: list[str] = []

    def work(account_id: str) -> Iterator[str]:
        if account_id == "first":
            yield "an item was refused"
            raise CredentialsRejected("its secret is wrong")
        done.append(account_id)
        if account_id == "second":
            yield "second: it is closed"

    with pytest.raises(RunIncomplete) as raised:
        each_account(["first", "second", "third"], work)
    assert done == ["second", "third"]
    assert str(raised.value) == (
        "first: an item was refused; first: its secret is wrong; second: it is closed"
    )


def test_without_trouble_there_is_nothing_to_say() -> None:
    each_account(["first", "second"], lambda _: ())


def test_a_fault_of_the_program_ends_the_run() -> None:
    with pytest.raises(ZeroDivisionError):
        each_account(["first"], lambda _: [str(1 // 0)])


def test_only_the_first_problems_are_spelled_out() -> None:
    problems = [f"problem {number}" for number in range(PROBLEMS_SHOWN + 2)]
    with pytest.raises(RunIncomplete) as raised:
        each_account(["only"], lambda _: problems)
    shown = [f"only: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
    assert str(raised.value) == "; ".join([*shown, "and 2 more"])


def test_what_keeps_one_work_from_an_account_keeps_no_other_work_from_it() -> None:
    done: list[str] = []

    def fails(account_id: str) -> list[str]:
        raise CredentialsRejected(f"nothing can be hidden on {account_id}")

    def works(account_id: str) -> list[str]:
        done.append(account_id)
        return []

    with pytest.raises(RunIncomplete, match="nothing can be hidden on one"):
        each_account(["one", "two"], fails, works)
    assert done == ["one", "two"]
