"""One bundle with everything in it, for the tests that read."""

from __future__ import annotations

from pathlib import Path

import pytest
import shipped

from ablab.export import Bundle, Model, read_bundle, ship


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return shipped.model(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def bundle(patient: Model, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder: Path = tmp_path_factory.mktemp("shipped") / "bundle"
    formats = ["onnx", "openvino", "openvino-fp16", "torch-export"]
    card = shipped.card(tolerance=0.01)
    ship(patient, card, folder, formats, nms=True)
    return read_bundle(folder)
