from pathlib import Path

import pytest
import torch
from torch import nn

from ablab.engine.checkpoint import load_weights, read_metadata, read_weights, save_weights
from ablab.errors import ConfigError, StoreError


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 3, 3))


def test_what_was_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    model = network().to(memory_format=torch.channels_last)
    model(torch.randn(2, 3, 8, 8))
    save_weights(tmp_path / "w.safetensors", model, {"classes": ["rød", "b"], "recipe": {"lr": 0.1}})
    other = network()
    load_weights(tmp_path / "w.safetensors", other)
    for (name, mine), theirs in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
    assert read_metadata(tmp_path / "w.safetensors") == {"classes": ["rød", "b"], "recipe": {"lr": 0.1}}


def test_shared_tensors_stay_shared(tmp_path: Path) -> None:
    def tied() -> nn.Sequential:
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        model[1].weight = model[0].weight
        return model

    model, other = tied(), tied()
    save_weights(tmp_path / "w.safetensors", model)
    load_weights(tmp_path / "w.safetensors", other)
    assert other[1].weight is other[0].weight
    assert torch.equal(other[0].weight, model[0].weight)
    assert read_metadata(tmp_path / "w.safetensors") == {}


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", network(), {})
    larger = nn.Sequential(*network(5)[:2], nn.Identity(), nn.Linear(1, 1))
    before = {name: value.clone() for name, value in larger.state_dict().items()}
    with pytest.raises(ConfigError) as error:
        load_weights(tmp_path / "w.safetensors", larger)
    message = str(error.value)
    assert "missing in the file: 3.weight, 3.bias" in message
    assert "unknown to the network: 2.bias, 2.weight" in message
    assert "0.weight (4, 3, 3, 3), expected (5, 3, 3, 3)" in message
    assert ", ... (6 in all)" in message  # of seven names with another shape only four are listed
    assert all(torch.equal(value, before[name]) for name, value in larger.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x80\x04\x95pickle"])
def test_a_damaged_file_is_no_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    for read in (read_weights, read_metadata):
        with pytest.raises(StoreError, match=r"no safetensors file.*run again"):
            read(path)


def test_a_cut_file_and_a_missing_one(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, network(), {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(StoreError, match="damaged"):
        read_weights(path)
    with pytest.raises(StoreError, match="no file"):
        read_weights(tmp_path / "none.safetensors")


def test_state_that_is_no_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not tensors"):
        save_weights(tmp_path / "w.safetensors", {"a": torch.zeros(1), "extra": "text"}, {})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []
