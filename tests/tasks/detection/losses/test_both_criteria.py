"""What holds for the criterion of either head."""

import pytest
import torch
from two_heads import ANCHOR, ANCHOR_FREE, SIZES

from ablab import registry
from ablab.errors import ConfigError
from ablab.tasks.detection.losses.defaults import resolve
from ablab.tasks.detection.recipe import LossRecipe

pytestmark = pytest.mark.parametrize("head", [ANCHOR, ANCHOR_FREE], ids=lambda head: head.name)


def test_the_loss_does_not_grow_with_the_batch(head):
    raw, (boxes, labels, images) = head.maps(), head.truth()
    one, _ = head.criterion()(raw, boxes, labels, images)
    doubled = [torch.cat((y, y)) for y in raw]
    two, _ = head.criterion()(doubled, boxes.repeat(2, 1), labels.repeat(2), torch.cat((images, images + 2)))
    assert two.item() == pytest.approx(one.item(), rel=1e-5)


def test_order_of_the_objects_does_not_matter(head):
    raw, objects = head.maps(), head.truth(25)
    order = torch.randperm(25, generator=torch.Generator().manual_seed(1))
    one, _ = head.criterion()(raw, *objects)
    other, _ = head.criterion()(raw, *(x[order] for x in objects))
    assert other.item() == pytest.approx(one.item(), rel=1e-6)


def test_computed_in_float32_under_autocast(head):
    raw = [y.detach().bfloat16() for y in head.maps()]
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = head.criterion()(raw, *head.truth())
    expected, _ = head.criterion()([y.float() for y in raw], *head.truth())
    assert loss.dtype == torch.float32
    assert loss.item() == expected.item()


@pytest.mark.parametrize("value", [-1e4, -110.0, 110.0, 1e4])
def test_saturated_maps_have_finite_gradients(head, value):
    raw = [torch.full((2, head.channels(), *size), value, requires_grad=True) for size in SIZES]
    loss, _ = head.criterion()(raw, *head.truth())
    loss.backward()
    assert loss.isfinite()
    assert all(y.grad.isfinite().all() for y in raw)


@pytest.mark.parametrize(
    ("slot", "field"), [("box_loss", "box"), ("class_loss", "objectness"), ("class_loss", "classification")]
)
def test_every_part_fits_and_changes_its_own_share_alone(head, slot, field):
    raw, objects = head.maps(), head.truth()
    _, base = head.criterion()(raw, *objects)
    if field not in base:
        assert (head, field) == (ANCHOR_FREE, "objectness")
        return
    for name in registry.names(slot):
        if name == getattr(resolve(LossRecipe(), head.name), field).part:
            continue
        if name == "ce" and (head, field) != (ANCHOR, "classification"):
            with pytest.raises(ConfigError, match=f"loss.{field}: 'ce' only tells classes apart"):
                head.criterion(**{field: name})
            continue
        loss, parts = head.criterion(**{field: name})(raw, *objects)
        assert torch.autograd.grad(loss, raw)[0].isfinite().all()
        assert [key for key in parts if parts[key] != base[key]] == [field]


@pytest.mark.parametrize("name", registry.names("box_loss"))
@pytest.mark.parametrize("value", [-110.0, 110.0])
def test_every_box_loss_bears_saturated_maps(head, name, value):
    raw = [torch.full((2, head.channels(), *size), value, requires_grad=True) for size in SIZES]
    loss, _ = head.criterion(box=name)(raw, *head.truth())
    loss.backward()
    assert loss.isfinite()
    assert all(y.grad.isfinite().all() for y in raw)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_gradients_repeat_to_the_bit_on_several_threads(head):
    """Many objects share places; torch sums the gradient of a plain index in whatever order the threads arrive."""
    objects, gradients = head.truth(1500, images=4), []
    for _ in range(4):
        raw = head.maps(images=4)
        head.criterion()(raw, *objects)[0].backward()
        gradients.append(raw)
    for again in gradients[1:]:
        assert all(torch.equal(a.grad, b.grad) for a, b in zip(gradients[0], again, strict=True))
