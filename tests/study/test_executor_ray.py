"""Runs as Ray tasks: what they ask for, what is refused, and nothing lost when workers, nodes and drivers die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import work
import yaml
from processes import gone, started

from ablab.engine.events import Silent
from ablab.errors import ConfigError, StoreError
from ablab.recipe import TrainRecipe
from ablab.study import run as running
from ablab.study import spec
from ablab.study.executors import job, ray
from ablab.study.executors.job import Job, Needs
from ablab.study.executors.ray import Ray
from ablab.study.executors.ray import cluster as joining
from cluster import STUDY, Machines, done, trained, worker

WITHOUT = "Ray is not installed: pip install 'ablab[ray]'"


class Feigned:
    """Of the package ray, what a cluster's size is read from."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self.listed = [{"Alive": True, "Resources": each} for each in nodes]
        self.listed.append({"Alive": False, "Resources": {"CPU": 1000, "GPU": 1000}})

    def nodes(self) -> list[dict[str, Any]]:
        return self.listed


class Told(Silent):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def begin(self, *of: Any) -> None:
        self.calls.append(("begin", *of))

    def advance(self, *of: Any) -> None:
        self.calls.append(("advance", *of))

    def say(self, text: str) -> None:
        self.calls.append(("say", text))

    def close(self) -> None:
        self.calls.append(("close",))

    def row(self, label: str) -> Told:
        return self


def train(**settings: Any) -> TrainRecipe:
    return TrainRecipe(**{"threads": 2, **settings})


def test_a_run_needs_its_threads_and_a_card_for_each_process() -> None:
    assert job.needs(train(threads=3)) == Needs(3, 1)
    assert job.needs(train(threads=3, devices=2)) == Needs(6, 2)
    assert job.needs(train(device="cpu", devices=4)) == Needs(8, 0)


@pytest.mark.parametrize(
    ("nodes", "share", "settings", "runs"),
    [
        ([{"CPU": 5}, {"CPU": 3}, {"CPU": 1}], None, {}, 3),  # 2 + 1 + 0: a run is on one node
        ([{"CPU": 16, "GPU": 2}, {"CPU": 16}], None, {}, 2),
        ([{"CPU": 16, "GPU": 2}, {"CPU": 16}], 0.25, {}, 8),
        ([{"CPU": 6, "GPU": 2}], 0.25, {}, 3),  # the cores end first
        ([{"CPU": 16, "GPU": 1}, {"CPU": 16}], 0.1, {"device": "cpu"}, 16),
        ([{"CPU": 64, "GPU": 5}], 0.25, {"devices": 2}, 2),  # processes of one run never share a card
        ([{"CPU": 1}], None, {}, 1),
    ],
)
def test_as_many_runs_as_the_nodes_hold(
    nodes: list[dict[str, float]], share: float | None, settings: dict[str, Any], runs: int
) -> None:
    assert Ray(Feigned(*nodes), share).at_a_time(train(**settings)) == runs


def test_a_run_that_fits_on_no_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a run wants 8 CPU and 2 GPU .* as much: 16 CPU and 1 GPU; 4 CPU and 4 GPU"):
        Ray(Feigned({"CPU": 16, "GPU": 1}, {"CPU": 4, "GPU": 4}), None).ready(tmp_path, [train(threads=4, devices=2)])


def test_runs_that_no_node_is_left_for_are_told() -> None:
    by = Ray(Feigned({"CPU": 4}), None)
    cards = [{"Resources": {"CPU": 4, "GPU": 1}}]  # as it was when the runs were asked for
    assert by._stranded([Needs(4), Needs(1)], cards) == ""
    said = "no node with {} is left in the cluster; its runs wait for one to come"
    assert by._stranded([Needs(1), Needs(8)], cards) == said.format("8 CPU")
    assert by._stranded([Needs(1, 1)], cards) == said.format("1 CPU and 1 GPU")


def test_without_ray_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"wants the package ray.*pip install 'ablab\[ray\]'"), joining(None, None):
        pass


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "127.0.0.1:1: nobody answers there"),
        ("here", "wants HOST:PORT or auto, got 'here'"),
        ("ray://head:10001", "driven from a node of the cluster"),
    ],
)
def test_an_address_where_no_cluster_is_is_a_line(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "package", lambda _: SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(ConfigError, match=said), joining(address, None):
        pass


def test_what_a_run_tells_of_itself_is_shown(tmp_path: Path) -> None:
    told, file = Told(), tmp_path / "progress.json"
    each, looks = ray._Running(Job("a", work.mistake, (), tells=file), told), ray._Looks()
    looks.at([each])  # it has not begun
    for step in (
        {"work": "start"},
        {"work": "train", "done": 3, "total": 9, "epoch": 1, "loss": 0.5, "images_per_second": None},
        {"work": "validate", "done": 4, "total": 9, "epoch": 1, "loss": 0.25, "images_per_second": 7.0},
        {"work": "evaluate", "done": 1, "total": 2, "epoch": 1, "loss": None, "images_per_second": None},
    ):
        file.write_text(json.dumps(step))
        looks._next = 0.0
        looks.at([each])
    file.write_text(json.dumps({"work": "evaluate", "done": 2, "total": 2}))
    looks.at([each])  # too early for another look
    assert told.calls == [
        ("close",),
        ("begin", "train", 9),
        ("advance", 3, {"epoch": 1, "loss": 0.5}),
        ("advance", 4, {"epoch": 1, "loss": 0.25, "images/s": 7.0}),
        ("close",),
        ("begin", "evaluate", 2),
        ("advance", 1, {"epoch": 1}),
    ]


def test_how_a_task_ended_is_a_sentence() -> None:
    real = pytest.importorskip("ray", reason=WITHOUT)

    class Ends:
        exceptions = real.exceptions

        def get(self, ref: Any) -> Any:
            if isinstance(ref, Exception):
                raise ref
            return ref

    by, errors = Ray(Ends(), None), real.exceptions
    assert by._end(("", "no such image", ("half a batch",))) == ("no such image", ("half a batch",))
    assert by._end(errors.OutOfMemoryError("..."))[0].startswith(
        "killed by Ray, as its node was nearly out of memory: "
    )
    assert by._end(errors.WorkerCrashedError())[0].startswith("killed 4 times, perhaps out of memory: ")
    assert by._end(errors.NodeDiedError("..."))[0] == "its node died, and so did those of 3 further tries"
    with pytest.raises(StoreError, match="node b: it does not see"):
        by._end(("node b: it does not see the file", "", ()))


ALONE = """
import sys
from pathlib import Path
import psutil
import work
from ablab.engine.events import Silent
from ablab.study.executors.job import Job
from ablab.study.executors.ray import cluster

with cluster(None, None) as by:
    print([error for _, error in by.execute([Job("a", work.write, (Path(sys.argv[1]), "a"))], 1, Silent(), lambda: 1)])
    for process in psutil.Process().children(recursive=True):
        for each in process.net_connections("inet"):
            if each.status == "LISTEN":
                print(each.laddr.ip)
"""


def test_a_cluster_of_this_machine_alone_is_quiet_and_reached_by_nobody_else(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason=WITHOUT)
    there = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", ALONE, tmp_path / "a"]
    done = subprocess.run(command, env=there, capture_output=True, text=True, timeout=120, check=True)
    ended, *addresses = done.stdout.splitlines()
    assert (ended, done.stderr) == ("['']", "")
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    pytest.importorskip("ray", reason=WITHOUT)
    with pytest.MonkeyPatch.context() as patch:  # for the cluster's processes
        here = Path(__file__).parent
        patch.setenv("PYTHONPATH", os.pathsep.join([str(here), str(here.parent / "kit")]))
        made = Machines()
        yield made
        made.cluster.shutdown()


@pytest.fixture
def joined(machines: Machines) -> Iterator[Ray]:
    with joining(machines.address, None) as made:
        yield made


def test_jobs_end_as_they_do_in_processes_and_a_process_is_used_once(joined: Ray, tmp_path: Path) -> None:
    joined.ready(tmp_path, [train(threads=1)])
    assert joined.at_a_time(train(threads=1)) == 2
    jobs = [
        Job("one", work.write, (tmp_path / "1", "one")),
        Job("mistake", work.mistake, ()),
        Job("bug", work.bug, ()),
        Job("two", work.write, (tmp_path / "2", "two")),
    ]
    told = Told()
    ends = {each.name: error for each, error in joined.execute(jobs, 2, told, lambda: True)}
    assert ends == {"one": "", "mistake": "no such image", "bug": "ZeroDivisionError: one by zero", "two": ""}
    words = [(tmp_path / name).read_text().split() for name in ("1", "2")]
    assert [word for word, _ in words] == ["one", "two"]
    assert len({os.getpid(), *(int(pid) for _, pid in words)}) == 3
    joined.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]  # the token is gone


def test_what_ray_tells_of_its_nodes_stays_off_standard_output(joined: Ray, capfd: pytest.CaptureFixture[str]) -> None:
    joined._ray._private.worker.print_to_stdstream({"lines": ["a node died"], "pid": "raylet", "is_err": False}, False)
    assert capfd.readouterr() == ("", "")


def test_leaving_early_ends_what_is_under_way(joined: Ray, tmp_path: Path) -> None:
    jobs = [Job("slow", work.slow, (tmp_path / "slow",)), Job("one", work.write, (tmp_path / "1", "one"))]
    done = joined.execute(jobs, 2, Silent(), lambda: True)
    assert next(done)[0].name == "one"
    pid = started(tmp_path / "slow")
    done.close()
    assert gone(pid)


def test_a_folder_that_the_nodes_do_not_see_is_refused(
    joined: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "write_bytes", lambda *_: None)  # as if it went to a disk of the driver's own
    with pytest.raises(StoreError, match=r"node .*127\.0\.0\.2.*does not see the file .*share"):
        joined.ready(tmp_path, [train(threads=1)])
    with pytest.raises(StoreError, match=r"node .*does not see the file .*share"):  # a node that came later
        list(joined.execute([Job("one", work.write, (tmp_path / "1", "one"))], 1, Silent(), lambda: True))
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_dies_as_it_looks_is_not_taken_for_its_neighbours(
    joined: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All nodes here have one name and address."""
    answers = ["", "", None]
    monkeypatch.setattr(Ray, "_answer", lambda *_: answers.pop(0))
    joined.ready(tmp_path, [train(threads=1)])
    answers = [None, None, None]
    with pytest.raises(StoreError, match="no node of the cluster has looked at"):
        joined.ready(tmp_path, [train(threads=1)])


def test_every_record_once_and_the_same_weights_though_worker_node_and_driver_die(
    machines: Machines, joined: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_close", lambda *_: {})  # the test split's jobs are as many processes again
    file, folder, log = tmp_path / "study.yaml", tmp_path / "out", tmp_path / "log"
    file.write_text(yaml.safe_dump(STUDY | {"seeds": 2}))
    command = [sys.executable, "-m", "ablab", "run", str(file), "--folder", str(folder), "--json"]
    with log.open("w") as said:
        first = subprocess.Popen(
            [*command, "--executor", "ray", "--address", machines.address], stdout=said, stderr=said
        )
    psutil.Process(worker(folder)).kill()
    worker(folder)
    machines.lose()
    worker(folder)
    first.kill()
    first.wait()
    assert not any(word in log.read_text() for word in ("raylet", "core_worker", "Traceback")), log.read_text()
    before = done(folder)
    outcome = running.run(spec.load(file), folder, display=Silent(), executor=joined)
    assert (outcome["runs"], outcome["failed"], outcome["missing"]) == (4, 0, 0)
    assert done(folder).items() >= before.items()
    assert len(done(folder)) == 4
    running.run(spec.load(file), tmp_path / "local", display=Silent())
    assert trained(folder) == trained(tmp_path / "local")
    joined.close()
    assert not [*folder.glob(".token*"), *folder.glob("runs/*/*/claim-*"), *folder.glob("runs/*/*/snapshot*")]
