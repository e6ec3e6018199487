"""What a teacher asks of its student: divergences by scipy, limits, and either head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax
from scipy.stats import entropy
from two_heads import ANCHOR, ANCHOR_FREE, ANCHORS, BINS, STRIDES, Head

from ablab.tasks.detection.losses.teaching import anchor_free_gaps, anchor_gaps, divergence, yes_no_divergence

BOTH = pytest.mark.parametrize("head", [ANCHOR, ANCHOR_FREE], ids=lambda head: head.name)


def gaps(head: Head, student: list[torch.Tensor], teacher: list[torch.Tensor], temperature: float = 2.0):
    if head is ANCHOR:
        return anchor_gaps(student, teacher, temperature, ANCHORS, STRIDES)
    return anchor_free_gaps(student, teacher, temperature, BINS)


def two(size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=size), rng.normal(size=size)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergences_are_scipys(temperature: float) -> None:
    student, teacher = two((7, 5))
    found = divergence(torch.tensor(student), torch.tensor(teacher), temperature)
    p, q = softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1)
    np.testing.assert_allclose(found, temperature**2 * entropy(p, q, axis=1), rtol=1e-9)
    found = yes_no_divergence(torch.tensor(student), torch.tensor(teacher), temperature)
    p, q = (np.stack([expit(z / temperature), expit(-z / temperature)]) for z in (teacher, student))
    np.testing.assert_allclose(found, temperature**2 * entropy(p, q, axis=0), rtol=1e-9)


def test_at_high_temperature_the_gradient_matches_logits() -> None:
    """Hinton et al. 2015, section 2.1: (z - v) / N for logits whose means are zero."""
    student, teacher = (x - x.mean(axis=1, keepdims=True) for x in two((3, 6)))
    logits = torch.tensor(student, requires_grad=True)
    divergence(logits, torch.tensor(teacher), 1e4).sum().backward()
    np.testing.assert_allclose(logits.grad, (student - teacher) / 6, rtol=1e-3)


@BOTH
def test_who_says_the_same_lacks_nothing(head: Head) -> None:
    maps = head.maps()
    found = gaps(head, maps, [level.detach().clone() for level in maps])
    assert {name: part.item() for name, part in found.items()} == pytest.approx({"logits": 0, "boxes": 0}, abs=1e-5)
    sum(found.values()).backward()
    assert max(level.grad.abs().max().item() for level in maps) < 1e-5


@BOTH
def test_steps_against_the_gradient_lead_to_the_teacher(head: Head) -> None:
    teacher = [level.detach().flip(0) + 0.5 for level in head.maps()]
    maps = head.maps()
    optimizer = torch.optim.Adam(maps, lr=0.05)
    before = {name: part.item() for name, part in gaps(head, maps, teacher).items()}
    for _ in range(60):
        optimizer.zero_grad()
        sum(gaps(head, maps, teacher).values()).backward()
        optimizer.step()
    after = gaps(head, maps, teacher)
    assert all(after[name].item() < 0.3 * value for name, value in before.items())


def test_an_only_class_which_nothing_trained_is_not_taught() -> None:
    teacher = torch.randn(1, 3 * 6, 2, 2, generator=torch.Generator().manual_seed(0))
    student = teacher.clone()
    student.view(3, 6, 2, 2)[:, 5] += 3
    assert anchor_gaps([student], [teacher], 2.0, ANCHORS[:1], STRIDES[:1])["logits"].item() == 0
    student.view(3, 6, 2, 2)[:, 4] += 3
    assert anchor_gaps([student], [teacher], 2.0, ANCHORS[:1], STRIDES[:1])["logits"].item() > 0


def test_background_hardly_counts() -> None:
    """By hand: two places, of which the teacher sees something at one; the other's sides may be anything."""
    logits = torch.tensor([[3.0], [-30.0]])  # one class at two cells
    teacher = torch.cat((torch.zeros(2, 4 * BINS), logits), dim=1).T.reshape(1, -1, 1, 2)
    student = teacher.clone()
    student[0, :BINS, 0, 1] = torch.arange(BINS, dtype=torch.float32)
    found = anchor_free_gaps([student], [teacher], 1.0, BINS)
    assert found["boxes"].item() == pytest.approx(0, abs=1e-9)
    student = teacher.clone()
    student[0, :BINS, 0, 0] = torch.arange(BINS, dtype=torch.float32)
    p = np.full(BINS, 1 / BINS)
    wrong = entropy(p, np.exp(log_softmax(np.arange(BINS)))) / 4  # of one side in four
    score = expit(3.0)
    assert anchor_free_gaps([student], [teacher], 1.0, BINS)["boxes"].item() == pytest.approx(score * wrong, rel=1e-5)
