"""Model, criterion, decoder and post-processing together: two pictures are learnt by heart."""

import numpy as np
import pytest
import torch

from ablab.measure.seeding import forked
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.losses.box import paired_iou
from ablab.tasks.detection.losses.criterion import Criterion
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.postprocess import postprocess, to_detections
from ablab.tasks.detection.recipe import DetectionModel, LossRecipe, PostprocessRecipe

SQUARES = [  # image, label, x1, y1, x2, y2
    (0, 0, 6, 8, 22, 24),
    (0, 1, 34, 30, 54, 50),
    (1, 1, 10, 36, 26, 52),
    (1, 2, 36, 6, 60, 30),
]
COLOURS = torch.eye(3)


def pictures():
    images = torch.full((2, 3, 64, 64), 0.4)
    for image, label, x1, y1, x2, y2 in SQUARES:
        images[image, :, y1:y2, x1:x2] = COLOURS[label].view(3, 1, 1)
    return images


def network(head, classes):
    """A small network and its criterion."""
    recipe = DetectionModel(head=head, bins=8) if head == "anchor-free" else DetectionModel()
    has = {"bins": 8} if head == "anchor-free" else {"anchors": torch.from_numpy(DEFAULT).float()}
    with forked("overfit", 0):
        model = build_model(recipe, classes, has.get("anchors"))
    return model, Criterion.of(LossRecipe(), model.head.strides, classes, **has)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("head", ["anchor", "anchor-free"])
def test_two_pictures_are_learnt_by_heart(head, classes):
    model, criterion = network(head, classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    table = torch.tensor(SQUARES)
    image, label, boxes = table[:, 0], table[:, 1] % classes, table[:, 2:].float()
    losses = []
    for _ in range(60):
        loss, _ = criterion(model(pictures()), boxes, label, image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]

    with torch.no_grad():
        model.train()  # 60 steps at momentum 0.03 are too few for the running statistics
        found = postprocess(*model.head.decode(model(pictures())), PostprocessRecipe(confidence=0.1, most=2))
    for index, one in enumerate(found):
        result = to_detections(one, (64, 64), 1.0, (0.0, 0.0))
        order = np.argsort(result.boxes[:, 0])
        wanted = boxes[image == index]
        assert len(result) == len(wanted)
        assert result.labels[order].tolist() == label[image == index].tolist()
        assert (paired_iou(torch.from_numpy(result.boxes[order]), wanted) > 0.5).all()
