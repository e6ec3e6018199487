"""The kernels are plain Python that numba speeds up: both say the same, with or without a folder for its cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from coco_reference import random_problem

from ablab.tasks.detection.formats.coco import read_detections, read_truth
from ablab.tasks.detection.metrics import average, evidence
from ablab.tasks.detection.metrics.meter import DetectionMeter


def test_compiled_and_plain_agree_to_the_bit(tmp_path, monkeypatch):
    problem = random_problem(np.random.Generator(np.random.Philox(3)), 4, 2, 5, 8)
    truth, detections = problem.write(tmp_path)
    instances = read_truth(truth)
    meter = DetectionMeter(instances.classes)
    meter.update(read_detections(detections, instances), instances.truths)
    fast = meter.items()
    scores = meter.score(fast, {})
    for module in (average, evidence):
        monkeypatch.setattr(module, "compiled", lambda function: function)
    slow = meter.items()
    assert all(np.array_equal(slow[name], column) for name, column in fast.items())
    assert all(np.array_equal(v, scores[n], equal_nan=True) for n, v in meter.score(slow, {}).items())


def test_without_a_folder_to_write_to(tmp_path):
    """Where numba finds no folder for its cache, the kernel is compiled all the same."""
    code = (
        "import numba\n"
        "from numba.core.caching import CacheImpl\n"
        "for kind in (CacheImpl, *CacheImpl.__subclasses__()):\n    kind._locator_classes = []\n"
        "from ablab.tasks.detection.metrics.kernels import compiled\n"
        "def double(x):\n    return 2 * x\n"
        "try:\n    numba.njit(double, cache=True)\n"
        "except RuntimeError:\n    print(compiled(double)(21))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "42", done.stderr


def test_no_torch(tmp_path):
    """COCO files are evaluated without torch, which takes seconds to import."""
    problem = random_problem(np.random.Generator(np.random.Philox(4)))
    truth, detections = problem.write(tmp_path)
    code = (
        "import sys, pathlib\n"
        "from ablab.tasks.detection.metrics.coco_figures import evaluate_files\n"
        f"figures = evaluate_files(pathlib.Path({str(truth)!r}), pathlib.Path({str(detections)!r}))\n"
        "assert figures['AP'] >= 0\n"
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(average.__file__).parents[4])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
