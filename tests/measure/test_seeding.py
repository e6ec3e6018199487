import torch
from torch import nn

from ablab.measure.seeding import forked, fresh, redraw, reseed
from ablab.streams import torch_seed


def test_reseeding_is_torchs_manual_seed() -> None:
    with torch.random.fork_rng():
        reseed("step", "study", 0, 7)
        found = torch.rand(5)
        torch.manual_seed(torch_seed("step", "study", 0, 7))
        assert torch.equal(found, torch.rand(5))


def test_forked_draws_come_from_the_key_and_leave_the_generator() -> None:
    before = torch.get_rng_state()
    with forked("init", 1):
        first = torch.rand(3)
    with forked("init", 1):
        assert torch.equal(first, torch.rand(3))
    with forked("init", 2):
        assert not torch.equal(first, torch.rand(3))
    assert torch.equal(torch.get_rng_state(), before)


class Shift(nn.Linear):
    """Draws as a linear layer does, then moves its bias, as a detector's head does."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.bias.data += 100


def test_redrawn_weights_come_from_the_key_and_the_name_alone() -> None:
    before = torch.get_rng_state()
    small = nn.ModuleDict({"a": nn.Linear(2, 3), "b": Shift(2, 3)})
    large = nn.ModuleDict({"new": nn.Linear(9, 9), "b": Shift(2, 3), "a": nn.Linear(2, 3)})
    torch.set_rng_state(before)
    for model in (small, large):
        redraw(model, 7)
    assert torch.equal(torch.get_rng_state(), before)
    for name in ("a", "b"):
        assert all(map(torch.equal, small[name].parameters(), large[name].parameters()))
    assert not torch.equal(small["a"].weight, small["b"].weight)
    assert (small["b"].bias > 99).all()
    redraw(large, 8)
    assert not torch.equal(small["a"].weight, large["a"].weight)


def test_a_fresh_number_moves_on_and_works_where_tensors_have_no_values() -> None:
    with forked("fresh"), torch.device("meta"):
        first, second = fresh(), fresh()
    with forked("fresh"):
        assert (fresh(), fresh()) == (first, second)
    assert first != second
