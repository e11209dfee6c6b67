"""The loss: MONAI's, with weights."""

import numpy as np
import pytest
import torch
from monai.losses import DiceFocalLoss
from transformers import EvalPrediction

from textdet.training.loss import HeatmapLoss
from train_utils import heatmap_errors, summarise_rows


def random_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 2, 16, 16, generator=generator).requires_grad_()
    labels = torch.randint(256, (3, 2, 32, 32), generator=generator, dtype=torch.uint8)
    weights = torch.randint(256, (3, 1, 32, 32), generator=generator, dtype=torch.uint8)
    return logits, labels, weights


def value_and_gradient(loss, logits):
    (gradient,) = torch.autograd.grad(loss, logits)
    return loss.detach(), gradient


@pytest.mark.parametrize("weighted", [False, True])
def test_with_all_weights_1_it_equals_monais(weighted):
    logits, labels, weights = random_batch()
    weights = torch.full_like(weights, 255) if weighted else None
    upsampled = torch.nn.functional.interpolate(logits, size=(32, 32), mode="bilinear")
    monai = DiceFocalLoss(sigmoid=True, squared_pred=True, batch=True)
    expected = value_and_gradient(monai(upsampled, labels.float() / 255), logits)
    found = value_and_gradient(HeatmapLoss()(logits, labels, weights), logits)
    # not bit for bit: how a CPU splits a sum of 6144 floats decides its last digits
    assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-5)
    assert torch.allclose(found[1], expected[1], rtol=0, atol=1e-7)  # of up to 4e-4


@pytest.mark.parametrize(("focal_weight", "gamma"), [(1, 2), (20, 0), (0, 2)])
def test_weights_weigh_both_parts(focal_weight, gamma):
    """Against the formulas, written out."""
    logits, labels, weights = random_batch(1)
    logits = torch.randn(3, 2, 32, 32)
    p, t, w = torch.sigmoid(logits), labels / 255.0, weights / 255.0
    sums = [(w * product).sum((0, 2, 3)) for product in (p * t, p * p, t * t)]
    dice = (1 - (2 * sums[0] + 1e-5) / (sums[1] + sums[2] + 1e-5)).mean()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, t, reduction="none")
    focus = torch.sigmoid(-logits * (2 * t - 1)) ** gamma  # MONAI's, which for 0 and 1 is 1 - p_t
    focal = (w * focus * entropy).sum() / (2 * w.sum())
    expected = (dice + focal_weight * focal).item()
    loss = HeatmapLoss(focal_weight, gamma)
    assert loss(logits, labels, weights).item() == pytest.approx(expected, rel=1e-5)


def test_nothing_is_learnt_where_the_weight_is_0():
    logits, labels, weights = random_batch(2)
    logits = torch.randn(3, 2, 32, 32, requires_grad=True)
    weights[:, :, :16] = 0
    _, gradient = value_and_gradient(HeatmapLoss()(logits, labels, weights), logits)
    assert (gradient[:, :, :16] == 0).all() and (gradient[:, :, 16:] != 0).float().mean() > 0.9
    other = labels.clone()
    other[:, :, :16] = 255 - other[:, :, :16]
    assert HeatmapLoss()(logits, other, weights) == HeatmapLoss()(logits, labels, weights)
    loss, gradient = value_and_gradient(HeatmapLoss()(logits, labels, 0 * weights), logits)
    assert loss == 0 and (gradient == 0).all()


def test_a_heavier_focal_part_tells_more_of_words_that_are_surely_missed():
    """The Dice's gradient vanishes where a letter's logit is far below 0."""
    labels = torch.zeros(1, 2, 64, 64, dtype=torch.uint8)
    labels[..., :2] = 255
    pulls = []
    for loss in (HeatmapLoss(), HeatmapLoss(20, 0)):
        logits = torch.full((1, 2, 64, 64), -6.0)
        logits[..., 0] = 0.0
        _, gradient = value_and_gradient(loss(logits.requires_grad_(), labels), logits)
        pulls.append((gradient[..., 1] / gradient[..., 0]).mean().item())  # missed / unsure
    assert pulls[0] < 0.2 and pulls[1] > 0.8


@pytest.mark.parametrize("focal", [(), (20, 0)])
def test_the_loss_keeps_the_heatmaps_values(focal):
    """Free logits, trained on a map of plateaus, end near the map's own values."""
    levels = [0.0, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0]
    shares = [40, 4, 4, 4, 4, 4, 4]
    row = torch.cat([torch.full((n,), v) for n, v in zip(shares, levels, strict=True)])
    labels = (row * 255).round().to(torch.uint8).expand(2, 2, 16, -1).contiguous()
    logits = torch.zeros(labels.shape, requires_grad=True)
    optimizer, loss = torch.optim.Adam([logits], 0.1), HeatmapLoss(*focal)
    for _ in range(600):
        optimizer.zero_grad()
        loss(logits, labels).backward()
        optimizer.step()
    learnt = torch.sigmoid(logits.detach())[0, 0, 0]
    for level in levels[1:-1]:
        assert learnt[(row - level).abs() < 1e-3].mean() == pytest.approx(level, abs=0.06)


def test_the_error_of_the_maps_is_their_mean_distance():
    """Of each image, where and as much as its weights count."""
    logits, labels, weights = random_batch(3)
    logits = torch.randn(3, 2, 32, 32)
    distance = (torch.sigmoid(logits) - labels / 255).abs()
    torch.testing.assert_close(heatmap_errors(logits, labels, None), distance.mean((1, 2, 3)))
    expected = (distance * weights).sum((1, 2, 3)) / (2 * weights.sum((1, 2, 3)))
    torch.testing.assert_close(heatmap_errors(logits, labels, weights), expected)
    assert not heatmap_errors(logits, labels, 0 * weights).any()


def test_scores_of_rows_are_those_of_all_images_together():
    rows = np.array([(1, 2, 4, 1.5, 0.1), (2, 2, 2, 1.5, 0.3)], np.float32)
    found = summarise_rows(EvalPrediction(predictions=rows, label_ids=None))
    expected = {"precision": 0.75, "recall": 0.5, "f1": 0.6, "iou": 0.5, "heatmap_error": 0.2}
    assert found == pytest.approx(expected)
