import pytest
from torch import nn

from ablab import registry, testing
from ablab.errors import ConfigError, ContractError, UnknownName
from ablab.surgery import contract


def test_the_door_is_sorted():
    assert testing.__all__ == sorted(testing.__all__) == ["Examination", "Finding", "check_part", "checks", "examine"]


@pytest.mark.parametrize("slot", ["assigner", "box_loss", "class_loss", "distribution_loss"])
def test_every_part_without_a_map_keeps_its_contract(slot):
    names = registry.names(slot)
    assert names
    for name in names:
        testing.check_part(slot, name)


def test_a_check_has_a_name_that_reads():
    names = [str(check) for check in testing.checks("attention", "eca")]
    assert "attention/eca: one sample does not depend on its batch" in names
    assert "attention/eca: every argument counts" in names


def test_a_part_by_import_string():
    testing.check_part("activation", "torch.nn:ELU")
    with pytest.raises(ContractError, match="shape kept"):
        testing.check_part("activation", "torch.nn:Flatten")


def test_a_users_plugin_in_one_file(tmp_path):
    """The example of the architecture: registered in a file of its own, checked by name."""
    (tmp_path / "my_parts.py").write_text(
        "from torch import Tensor, nn\n"
        "from ablab import register\n"
        '@register("activation", "tanhexp", paper="https://arxiv.org/abs/2003.09855")\n'
        "class TanhExp(nn.Module):\n"
        "    def forward(self, x: Tensor) -> Tensor:\n"
        "        return x * x.clamp(max=20).exp().tanh()\n"
    )
    registry.load_plugins([tmp_path / "my_parts.py"])
    try:
        assert issubclass(registry.get("tanhexp").build, nn.Module)
        testing.check_part("activation", "tanhexp")
    finally:
        del registry._parts["activation", "tanhexp"]


def test_unknown_names_answer_with_the_nearest(monkeypatch):
    with pytest.raises(UnknownName, match="did you mean 'frelu'"):
        testing.check_part("activation", "frel")
    with pytest.raises(UnknownName, match="did you mean 'activation'"):
        testing.check_part("activatoin", "frelu")
    monkeypatch.delitem(contract.PROMISES, "assigner")
    with pytest.raises(ConfigError, match="no contract for the slot 'assigner'"):
        testing.checks("assigner", "ratio")
