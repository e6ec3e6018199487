"""MLflow: a run of its server for each of ours, in an experiment with the study's name."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ablab.study.trackers.entry import Entry

KEY, DIGEST = "ablab.key", "ablab.digest"
METRICS, OTHERS = 1000, 100  # the most that one `log-batch` request takes; a value of a parameter: 6000 characters
LONGEST = 6000
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}  # its own: 7 times 120 s
STATUS = {"done": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


class MLflow:
    """Speaks to a server through `mlflow.MlflowClient`. A run's digest is its last tag: one without it is not whole."""

    name = "mlflow"

    def __init__(self, address: str, study: str) -> None:
        self.address, self.study = address, study
        self._client: Any = None
        self._experiment = ""

    def sent(self) -> dict[str, str]:
        return {run.data.tags[KEY]: run.data.tags.get(DIGEST, "") for run in self._runs(f"tags.`{KEY}` != ''")}

    def send(self, entry: Entry) -> None:
        from mlflow.entities import Metric, Param, RunTag

        client, now = self._open(), int(time.time() * 1000)
        for old in list(self._runs(f"tags.`{KEY}` = '{entry.key}'")):
            client.delete_run(old.info.run_id)
        tags = {KEY: entry.key, "ablab.group": entry.group, "ablab.status": entry.status}
        run = client.create_run(self._experiment, run_name=entry.title, tags=tags).info.run_id
        curves = [Metric(_name(n), v, now, epoch) for n, points in entry.curves.items() for epoch, v in points]
        for metrics in _portions([*curves, *(Metric(_name(n), v, now, 0) for n, v in entry.numbers.items())], METRICS):
            client.log_batch(run, metrics=metrics)
        for params in _portions([Param(_name(n), text[:LONGEST]) for n, text in entry.settings.items()], OTHERS):
            client.log_batch(run, params=params)
        for texts in _portions([RunTag(_name(n), text[:LONGEST]) for n, text in entry.texts.items()], OTHERS):
            client.log_batch(run, tags=texts)
        client.set_terminated(run, STATUS[entry.status])
        client.set_tag(run, DIGEST, entry.digest)

    def _open(self) -> Any:
        """The client, and the study's experiment, made where it is not there."""
        if self._client is None:
            for name, value in PATIENCE.items():
                os.environ.setdefault(name, value)
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=self.address)
            found = client.get_experiment_by_name(self.study)
            self._experiment = found.experiment_id if found else client.create_experiment(self.study)
            self._client = client
        return self._client

    def _runs(self, condition: str) -> Iterator[Any]:
        client, token = self._open(), None
        while True:
            page = client.search_runs([self._experiment], condition, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


def _portions(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def _name(name: str) -> str:
    """MLflow takes letters, digits and `_-. :/` in a name, and no more than 250 of them."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]
