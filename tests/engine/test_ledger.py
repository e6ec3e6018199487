from pathlib import Path

import pytest
import torch

from ablab.contracts import Step
from ablab.engine.ledger import Ledger, write_curves
from ablab.errors import Diverged


def step(loss: float) -> Step:
    return Step(torch.tensor(loss, requires_grad=True), {"box": torch.tensor(loss / 2)})


@pytest.mark.parametrize("every", [1, 3])
def test_means_over_an_epoch(every: int) -> None:
    ledger = Ledger(4, every)
    for at, loss in enumerate((1.0, 2.0, 3.0, 6.0)):
        ledger.add(at, step(loss), torch.tensor(2.0 * at))
    assert ledger.close() == {"loss": 3.0, "box": 1.5, "gradient norm": 3.0}
    ledger.add(4, step(5.0), torch.tensor(0.0))
    assert ledger.close() == {"loss": 5.0, "box": 2.5, "gradient norm": 0.0}


@pytest.mark.parametrize(("loss", "norm"), [(float("nan"), 1.0), (float("inf"), 1.0), (1.0, float("nan"))])
def test_what_is_not_finite_stops_the_run_and_names_the_step(loss: float, norm: float) -> None:
    ledger = Ledger(10)
    ledger.add(22, step(1.0), torch.tensor(1.0))
    with pytest.raises(Diverged, match=r"epoch 3, step 24: loss .*, box .*, gradient norm .*optimizer\.lr"):
        ledger.add(23, step(loss), torch.tensor(norm))


def test_late_reading_names_the_first_bad_step() -> None:
    ledger = Ledger(10, every=10)
    for at, loss in enumerate((1.0, float("nan"), 1.0)):
        ledger.add(at, step(loss), torch.tensor(1.0))
    with pytest.raises(Diverged, match="epoch 1, step 2: loss nan"):
        ledger.close()


def test_curves_leave_a_cell_empty_where_nothing_was_measured(tmp_path: Path) -> None:
    write_curves(tmp_path / "curves.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "validation/AP": 1.0}])
    assert (tmp_path / "curves.csv").read_text() == "epoch,loss,validation/AP\n1,0.5,\n2,0.25,1\n"
