import pytest
import torch
from torch import nn

from ablab.engine import precision
from ablab.engine.precision import choose
from ablab.errors import ConfigError
from ablab.recipe import TrainRecipe


def on_cpu(**settings: object) -> TrainRecipe:
    return TrainRecipe.model_validate({"device": "cpu", "threads": 1} | settings)


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_bf16_where_the_processor_has_it(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: native)
    assert choose(on_cpu()).dtype is (torch.bfloat16 if native else torch.float32)
    assert choose(on_cpu(precision="fp32")).dtype is torch.float32
    assert choose(on_cpu(precision="bf16")).dtype is torch.bfloat16


def test_autocast_does_what_was_chosen() -> None:
    layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with choose(on_cpu(precision=name)).autocast():
            assert layer(x).dtype is dtype
    assert layer(x).dtype is torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_missing_card_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match="no CUDA card; set it to 'auto' or 'cpu'"):
        choose(TrainRecipe(device="cuda"))


def test_place_and_to_device_touch_images_only() -> None:
    chosen = choose(on_cpu())
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3))
    model.register_buffer("grid", torch.zeros(1, 1, 2, 3, 2))
    weight = model[0].weight
    assert chosen.place(model) is model
    assert model[0].weight is weight  # an optimizer built before would still hold it
    assert weight.is_contiguous(memory_format=torch.channels_last)
    images, boxes, ids = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(5, 4), ["a", "b"]
    moved = chosen.to_device({"images": images, "boxes": boxes, "ids": ids})
    assert moved["images"].is_contiguous(memory_format=torch.channels_last)
    assert moved["images"].dtype is torch.uint8
    assert moved["boxes"] is boxes
    assert moved["ids"] is ids


def test_contiguous_where_asked() -> None:
    chosen = choose(on_cpu(channels_last=False))
    assert chosen.place(nn.Conv2d(3, 4, 3)).weight.is_contiguous()
    assert chosen.to_device({"x": torch.zeros(2, 3, 4, 4)})["x"].is_contiguous()


def test_settled_restores_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)

    def state() -> tuple[object, ...]:
        deterministic = torch.are_deterministic_algorithms_enabled()
        return torch.get_num_threads(), deterministic, torch.utils.deterministic.fill_uninitialized_memory

    before = state()

    def fail() -> None:
        with choose(on_cpu(threads=2)).settled():
            assert state() == (2, True, False)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state() == before


def test_describe_names_what_the_bits_depend_on() -> None:
    said = choose(on_cpu(precision="fp32")).describe()
    assert said["precision"] == "fp32"
    assert said["memory_format"] == "channels_last"
    assert said["threads"] == "1"
    assert said["torch"] == torch.__version__
    assert said["device"].startswith("cpu, ")
