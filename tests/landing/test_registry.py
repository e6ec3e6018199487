"""Finding parts by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from ablab import registry
from ablab.errors import ConfigError, UnknownName


def test_a_part_is_found_bare_by_slot_and_by_import() -> None:
    assert registry.get("silu").build is nn.SiLU
    assert registry.get("activation/silu") == registry.get("silu")
    assert registry.get("torch.nn:Tanh").build is nn.Tanh


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("sillu", "did you mean 'silu'"),
        ("activations/silu", "unknown slot 'activations'"),
        ("torch.nn:Tahn", "did you mean 'Tanh'"),
        ("no_such_package:Thing", "is the package installed"),
    ],
)
def test_an_unknown_part_names_the_nearest(reference: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        registry.get(reference)


def test_an_argument_that_a_part_does_not_take_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes no 'gama'; did you mean 'gamma'"):
        registry.make("focal", "class_loss", gama=1.0)


def test_a_name_that_is_taken_is_refused() -> None:
    registry.names("activation")
    with pytest.raises(ConfigError, match="activation/silu is taken"):
        registry.register("activation", "silu")(nn.Tanh)


def test_an_unknown_task_or_slot_is_refused() -> None:
    with pytest.raises(UnknownName, match="unknown task 'detecton'; did you mean 'detection'"):
        registry.task("detecton")
    with pytest.raises(UnknownName, match="unknown slot"):
        registry.names("activations")


def test_a_plugin_file_registers_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.names("activation")
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))  # what a test registers stays in the test
    file = tmp_path / "my_parts.py"
    file.write_text(
        "from torch import nn\nfrom ablab import register\n"
        "@register('activation', 'plugin_tanh')\nclass PluginTanh(nn.Tanh): ...\n"
    )
    first = registry.load_plugins([file])
    assert registry.get("plugin_tanh").slot == "activation"
    assert registry.load_plugins([file]) == first
    assert len(first) == 16


@pytest.mark.parametrize("text", ["1 / 0", "import no_such_thing"])
def test_a_broken_plugin_is_the_users_mistake(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match="failed to import"):
        registry.load_plugins([file])
    with pytest.raises(ConfigError, match="no plug-in file"):
        registry.load_plugins([tmp_path / "absent.py"])
