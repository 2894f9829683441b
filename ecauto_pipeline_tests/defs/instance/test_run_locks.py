"""Runs whose process is gone are ended and free their slot; living ones are left alone."""

import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from ecauto_pipeline.defs.instance.run_locks import held_run_lock, reap_lost_runs
from ecauto_pipeline.sandbox.faults import Fault, FaultKind
from ecauto_pipeline.sandbox.server import demo_sandbox
from ecauto_pipeline_tests.children import started
from ecauto_pipeline_tests.program import Gate, Program

pytestmark = pytest.mark.process

POOL = "amazon_sp_api"

Status = dg.DagsterRunStatus


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def add_run(
    instance: dg.DagsterInstance, number: int = 1, status: dg.DagsterRunStatus = Status.STARTED
) -> str:
    run_id = f"5f5e1f1c-5a5e-4d1a-9a7c-{number:012d}"
    instance.add_run(dg.DagsterRun(job_name="stock_refresh", run_id=run_id, status=status))
    return run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def lock_files(instance: dg.DagsterInstance) -> list[str]:
    return [path.name for path in (Path(instance.root_directory) / "run_locks").iterdir()]


HOLD = """
import sys
from types import SimpleNamespace
from ecauto_pipeline.defs.instance.run_locks import held_run_lock

instance = SimpleNamespace(is_ephemeral=False, root_directory=sys.argv[1])
with held_run_lock(instance, sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(instance: dg.DagsterInstance, run_id: str) -> Generator[None]:
    """A process works on the run; when the context ends, it is killed."""
    command = [sys.executable, "-c", HOLD, instance.root_directory, run_id]
    with started(command, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.STARTING, Status.FAILURE),
        (Status.STARTED, Status.FAILURE),
        (Status.CANCELING, Status.CANCELED),
        (Status.SUCCESS, Status.SUCCESS),
    ],
)
def test_what_becomes_of_a_run_whose_process_was_killed(
    before: dg.DagsterRunStatus, after: dg.DagsterRunStatus, instance: dg.DagsterInstance
) -> None:
    run_id = add_run(instance, status=before)
    with held_elsewhere(instance, run_id):
        assert reap_lost_runs(instance) == []
        assert lock_files(instance) == [f"{run_id}.lock"]
    assert reap_lost_runs(instance) == ([run_id] if after is not before else [])
    assert status_of(instance, run_id) is after
    assert lock_files(instance) == []
    assert reap_lost_runs(instance) == []


def test_what_a_deleted_run_left_is_tidied_up(instance: dg.DagsterInstance) -> None:
    run_id = add_run(instance)
    with held_elsewhere(instance, run_id):
        pass
    instance.delete_run(run_id)
    assert reap_lost_runs(instance) == []
    assert lock_files(instance) == []


def test_its_slot_is_free_again(instance: dg.DagsterInstance) -> None:
    log = instance.event_log_storage
    log.set_concurrency_slots(POOL, 1)
    lost, alive = add_run(instance, 1), add_run(instance, 2)
    with ExitStack() as held:
        with held_elsewhere(instance, lost):
            assert log.claim_concurrency_slot(POOL, lost, "amazon_facts").is_claimed
            held.enter_context(held_run_lock(instance, alive))
        assert not log.claim_concurrency_slot(POOL, alive, "amazon_facts").is_claimed
        assert reap_lost_runs(instance) == [lost]
        assert log.claim_concurrency_slot(POOL, alive, "amazon_facts").is_claimed
        assert reap_lost_runs(instance) == []
        assert log.get_concurrency_info(POOL).active_run_ids == {alive}


def test_a_run_that_ended_leaves_nothing(instance: dg.DagsterInstance) -> None:
    run_id = add_run(instance)
    with held_run_lock(instance, run_id):
        assert lock_files(instance) == [f"{run_id}.lock"]
    assert lock_files(instance) == []
    assert status_of(instance, run_id) is Status.STARTED


def test_a_run_that_raises_leaves_nothing_either(instance: dg.DagsterInstance) -> None:
    def fail() -> None:
        with held_run_lock(instance, add_run(instance)):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert lock_files(instance) == []


def test_without_an_instance_that_lasts_nothing_is_locked(tmp_path: Path) -> None:
    with (
        dg.DagsterInstance.ephemeral() as fleeting,
        held_run_lock(fleeting, "x"),
        held_run_lock(None, "x"),
        held_run_lock(fleeting, None),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_command_killed_half_way_does_not_stand_in_the_way_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    with demo_sandbox(asins=30, rate_multiplier=1000, clock=gate) as sandbox:
        program = Program(tmp_path / "installation", sandbox)
        assert program.run("import-v1", program.write_v1()).returncode == 0
        slow = Fault("getCompetitivePricing", FaultKind.SLOW, times=1)
        sandbox.faults.replace([slow])
        killed = program.stop_at(gate, signal.SIGKILL, "sync", "--stock-only")
        assert killed == -signal.SIGKILL
        # The instance as it was left: looked at directly, so that nothing tidies it up.
        home = program.data_dir / "dagster_home"
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        monkeypatch.delenv("ECAUTO_DAGSTER_POSTGRES_URL", raising=False)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            [lost] = instance.get_runs(dg.RunsFilter(job_name="stock_refresh"))
            log = instance.event_log_storage
            assert lost.status is Status.STARTED
            assert log.get_concurrency_info(POOL).active_run_ids == {lost.run_id}
            report = program.sync("--stock-only")
            assert report["cache"]["due"] > 0
            assert status_of(instance, lost.run_id) is Status.FAILURE
            assert status_of(instance, report["runs"]["stock_refresh"]) is Status.SUCCESS
            assert log.get_concurrency_info(POOL).active_slot_count == 0
