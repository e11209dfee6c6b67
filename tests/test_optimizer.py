"""MuonAdamW against torch's own Muon and AdamW, and against singular values."""

import copy

import pytest
import torch

from textdet.network.segformer import new_model
from textdet.training.optimizer import MuonAdamW, is_mixing, orthogonalise

RATE, DECAY = 1e-2, 0.1


def steps(optimizer, parameters, count=6, seed=0):
    """Steps with random gradients, the same for each shape."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize("shape", [(40, 24), (24, 40), (32, 32)])
def test_a_matrix_moves_as_torchs_muon_moves_it(shape):
    start = torch.randn(shape)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    steps(MuonAdamW([ours], RATE, DECAY), [ours])
    muon = torch.optim.Muon([theirs], RATE, DECAY, adjust_lr_fn="match_rms_adamw")
    steps(muon, [theirs])
    moved = (theirs - start).norm()
    assert moved > 0.1 and (ours - theirs).norm() < 0.03 * moved  # it computes in bfloat16


def test_a_kernel_moves_like_the_matrix_of_its_output_channels():
    start = torch.randn(32, 16, 3, 3)
    kernel, matrix = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.flatten(1))
    steps(MuonAdamW([kernel], RATE, DECAY), [kernel])
    steps(MuonAdamW([matrix], RATE, DECAY), [matrix])
    assert torch.equal(kernel.flatten(1), matrix)


def test_everything_else_moves_as_adamw_moves_it():
    """A depthwise kernel, the first and the last layer; biases without weight decay."""
    shapes = [(64, 1, 3, 3), (32, 3, 7, 7), (2, 256, 1, 1), (64,)]
    start = [torch.randn(shape) for shape in shapes]
    ours, theirs = ([torch.nn.Parameter(t.clone()) for t in start] for _ in range(2))
    steps(MuonAdamW(ours, RATE, DECAY, betas=(0.8, 0.9), eps=1e-5), ours)
    groups = [{"params": theirs[:3]}, {"params": theirs[3:], "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, RATE, weight_decay=DECAY, betas=(0.8, 0.9), eps=1e-5)
    steps(adamw, theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


def test_most_of_the_network_is_muons():
    model = new_model()
    names = {name for name, parameter in model.named_parameters() if is_mixing(parameter)}
    count = sum(p.numel() for name, p in model.named_parameters() if name in names)
    assert 0.95 < count / model.num_parameters() < 1
    assert not any("classifier" in name or "dwconv" in name for name in names)


def test_what_does_not_learn_stays():
    model = new_model()
    fixed, free = list(model.parameters())[:50], list(model.parameters())[50:]
    for parameter in fixed:
        parameter.requires_grad_(False)
    before = [parameter.clone() for parameter in model.parameters()]
    steps(MuonAdamW(model.parameters(), RATE, DECAY), free[::2], count=1)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert not any(moved[:50]) and not any(moved[51::2])  # fixed, or without a gradient
    assert all(moved[50::2])


def test_its_state_can_be_saved():
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in ((20, 30), (20,), (30, 1))]
    optimizer = MuonAdamW(parameters, RATE, DECAY)
    steps(optimizer, parameters)
    others = copy.deepcopy(parameters)
    other = MuonAdamW(others, RATE / 7, 0.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(optimizer, parameters, seed=1)
    steps(other, others, seed=1)
    for a, b in zip(parameters, others, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30)])
def test_orthogonalise_keeps_the_singular_vectors(shape):
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    values = torch.logspace(0, -2, 30)
    found = orthogonalise(left @ torch.diag(values) @ right)
    turned = left.T @ found @ right.T
    assert turned.diag().min() > 0.6 and turned.diag().max() < 1.25
    assert (turned - turned.diag().diag()).abs().max() < 0.05
    assert not orthogonalise(torch.zeros(3, 4)).any()
