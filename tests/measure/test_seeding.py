import torch

from ablab.measure.seeding import forked, reseed
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
