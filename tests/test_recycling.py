"""--recycle: collapsed attention and units that never fire begin anew, the rest stays as it is."""

import json
import math

import pytest
import torch

from textdet.network.segformer import load_trained, new_model
from textdet.training.recycling import Recycled, recycle


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 96, 128, generator=generator) for _ in range(2)]


@pytest.fixture
def model():
    """With random weights, of which each channel of the head counts."""
    torch.manual_seed(1)
    model = new_model().eval()
    torch.nn.init.uniform_(model.decode_head.classifier.weight, 0.1, 0.2)
    return model


def looks(attention, tokens):
    """Where queries look, (B, heads, queries, keys), of attention that does not reduce its keys."""
    query, key = (
        layer(tokens).unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)
        for layer in (attention.q_proj, attention.k_proj)
    )
    return (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)


def test_a_sound_network_stays_as_it_is(model, images):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert recycle(model, images) == Recycled(0, 0, 0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_head_that_looks_at_one_place_begins_anew(model, images):
    """Whatever is asked, its fifth head looks for what the keys' first number is high in."""
    block = model.segformer.stages[3].blocks[1]
    torch.nn.init.constant_(block.layernorm_before.weight, 3)
    attention = block.attention
    size = attention.head_dim
    rows = slice(4 * size, 5 * size)
    with torch.no_grad():
        attention.q_proj.weight[rows], attention.k_proj.weight[rows] = 0, 0
        attention.q_proj.bias[rows] = 100
        attention.k_proj.weight[rows, 0] = 100
        attention.v_proj.bias[rows] = 3
    seen = []
    attention.k_proj.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    before = model(pixel_values=images[0]).logits
    kept = attention.q_proj.weight.clone()
    assert looks(attention, seen[0])[:, 4].amax(-1).min() > 0.99

    assert recycle(model, images) == Recycled(1, 0, 0)
    others = [i for i in range(len(kept)) if not 4 * size <= i < 5 * size]
    assert torch.equal(attention.q_proj.weight[others], kept[others])
    found = looks(attention, seen[0])[:, 4].log()
    assert 0.8 < found.std(-1).mean() < 1.2  # the scores', since these differ by a constant
    assert 0.5 < attention.v_proj(seen[0])[..., rows].std() < 1.5
    assert (attention.o_proj.weight[:, rows] == 0).all()
    after = model(pixel_values=images[0]).logits
    assert (after - before).abs().mean() < 0.1 * before.std()


def test_units_that_never_fire_begin_anew(model, images):
    mlp = model.segformer.stages[1].blocks[0].mlp
    head = model.decode_head
    with torch.no_grad():
        mlp.dwconv.dwconv.bias[:4] = -50  # GELU makes 0 of it
        mlp.dwconv.dwconv.weight[4:7], mlp.dwconv.dwconv.bias[4:7] = 0, 20
        head.linear_fuse.weight[3:8] = 0
        head.batch_norm.running_mean[3:8], head.batch_norm.running_var[3:8] = 100, 100
    before = [model(pixel_values=pixels).logits for pixels in images]
    kept = mlp.fc1.weight.clone()
    assert recycle(model, images) == Recycled(0, 7, 5)
    for pixels, logits in zip(images, before, strict=True):
        assert torch.allclose(model(pixel_values=pixels).logits, logits, atol=1e-4)

    inputs = {}
    for layer in (mlp.fc2, head.classifier):
        layer.register_forward_pre_hook(lambda layer, given: inputs.update({layer: given[0]}))
    model(pixel_values=images[0])
    assert (inputs[mlp.fc2][..., :7].flatten(0, 1).std(0) > 0.02).all()
    fired = inputs[head.classifier][:, 3:8]
    share = (fired > 0).float().mean((0, 2, 3))
    assert ((share > 0.2) & (share < 0.8)).all()
    assert 0.4 < fired.std() < 0.8  # ReLU of normal numbers: .58
    assert torch.equal(mlp.fc1.weight[7:], kept[7:])


def test_training_begins_with_it_once(random_model, triplets, tmp_path, run_well_here):
    flags = ("--input_dir", triplets, "--model_name_or_path", random_model, "--crop_size", 64)
    flags += ("--recycle", "True", "--max_eval_samples", 2, "--output_dir", tmp_path)
    flags += ("--per_device_train_batch_size", 2, "--save_strategy", "steps", "--save_steps", 1)
    flags += ("--eval_strategy", "no", "--load_best_model_at_end", "False")
    result = run_well_here("train.py", *flags, "--max_steps", 1)
    assert "begin anew" in result.stdout
    assert json.loads((tmp_path / "training.json").read_text())["model"]["recycle"] is True
    result = run_well_here("train.py", *flags, "--max_steps", 2)
    assert "begin anew" not in result.stdout and "going on from" in result.stdout
    load_trained(tmp_path)
