"""New weights where a network has stopped learning: attention that always looks at the same few
places, and units that never fire.

Attention collapses when its scores grow faster than all else learns, often early in a training from
random weights (S. Zhai et al., 2023, "Stabilizing Transformer Training by Preventing Attention
Entropy Collapse", arXiv:2303.06296): whatever is asked, one key gets all of the weight. Through
such a softmax comes no gradient, so that it stays. A unit that never fires gets none, either. Both
begin anew as G. Sokar et al., 2023 ("The Dormant Neuron Phenomenon in Deep Reinforcement Learning",
arXiv:2302.12902) recycle units: with random weights before them and zeros behind, so that the
network's output stays about as it was.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from transformers import SegformerForSemanticSegmentation

COLLAPSED = 0.5  # of the greatest possible entropy of where an image's queries look, all together
DORMANT = 0.02  # standard deviation that the output of a hidden unit reaches where it is of use
NO_EFFECT = 0.02  # of what the strongest channel of the head adds to a logit where it fires most


class Recycled(NamedTuple):
    """How many of each kind began anew."""

    heads: int  # of attention
    units: int  # hidden ones, of the Mix-FFNs
    channels: int  # of the decode head


@torch.no_grad()
def recycle(model: SegformerForSemanticSegmentation, images: Sequence[torch.Tensor]) -> Recycled:
    """Give new weights to what a network does not use.

    Params:
        model: is changed. Its output stays the same, but for heads that looked at other places from
            image to image: in their place stands the mean of what they gave.
        images: (B, 3, H, W) normalised pixels each, of the kind to train on.
    """

    def run() -> None:
        for pixels in images:
            model(pixel_values=pixels)

    was_training = model.training
    model.eval()
    blocks = [block for stage in model.segformer.stages for block in stage.blocks]
    heads = sum(_recycle_heads(block.attention, run) for block in blocks)
    units = sum(_recycle_units(block.mlp, run) for block in blocks)
    channels = _recycle_channels(model.decode_head, run)
    model.train(was_training)
    return Recycled(heads, units, channels)


def _recycle_heads(attention: nn.Module, run: Callable[[], None]) -> int:
    """Give new weights to the heads of a block that look at the same places whatever they are
    asked, and say how many these are."""
    layers = attention.q_proj, attention.k_proj, attention.v_proj
    inputs = _record((*layers, attention.o_proj), run)
    size = attention.head_dim
    scores = torch.stack(list(map(_spread_of_looks, _scores(attention, inputs))))
    collapsed = (scores.mean(0) < COLLAPSED).nonzero().flatten().tolist()
    if not collapsed:
        return 0
    rows = torch.cat([torch.arange(head * size, (head + 1) * size) for head in collapsed])
    output = attention.o_proj
    output.bias += output.weight[:, rows] @ _flat(inputs[output])[:, rows].mean(0)
    output.weight[:, rows] = 0
    for layer in layers:
        layer.weight[rows] = torch.randn_like(layer.weight[rows]) / math.sqrt(layer.in_features)
        layer.bias[rows] = 0
    # Scores that differ by about 1 between keys, and values of about 1.
    spread = torch.stack([s.std(-1).mean((0, 2)) for s in _scores(attention, inputs)]).mean(0)
    gain = spread.rsqrt().repeat_interleave(size)[rows, None]
    attention.q_proj.weight[rows] *= gain
    attention.k_proj.weight[rows] *= gain
    value = attention.v_proj
    value.weight[rows] /= value(_flat(inputs[value])).std(0)[rows, None]
    return len(collapsed)


def _scores(
    attention: nn.Module, inputs: dict[nn.Module, list[torch.Tensor]]
) -> Iterator[torch.Tensor]:
    """Of each batch the attention's scores, (B, heads, queries, keys)."""
    for asked, seen in zip(inputs[attention.q_proj], inputs[attention.k_proj], strict=True):
        query, key = (
            layer(tokens).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            for layer, tokens in ((attention.q_proj, asked), (attention.k_proj, seen))
        )
        yield query @ key.transpose(-1, -2) * attention.scaling


def _spread_of_looks(scores: torch.Tensor) -> torch.Tensor:
    """The entropy of where an image's queries look together, (heads,) 0..1 of the greatest."""
    places = scores.softmax(-1).mean(2)
    return (torch.special.entr(places).sum(-1) / math.log(scores.shape[-1])).mean(0)


def _recycle_units(mlp: nn.Module, run: Callable[[], None]) -> int:
    """Give new weights to the hidden units of a Mix-FFN whose output hardly changes."""
    output = _flat(_record([mlp.fc2], run)[mlp.fc2])
    dormant = output.std(0) < DORMANT
    mlp.fc2.bias += mlp.fc2.weight[:, dormant] @ output.mean(0)[dormant]
    mlp.fc2.weight[:, dormant] = 0
    layers = mlp.fc1, mlp.dwconv.dwconv
    for layer in layers:
        fan_in = layer.weight[0].numel()
        layer.weight[dormant] = torch.randn_like(layer.weight[dormant]) * math.sqrt(2 / fan_in)
        layer.bias[dormant] = 0
    return int(dormant.sum())


def _recycle_channels(head: nn.Module, run: Callable[[], None]) -> int:
    """Give new weights to the decode head's channels that hardly reach the logits."""
    norm, classifier = head.batch_norm, head.classifier
    fired = _flat_maps(_record([classifier], run)[classifier])
    effect = fired.amax(0) * classifier.weight.flatten(1).abs().amax(0)
    dormant = effect < NO_EFFECT * effect.max()
    fuse = head.linear_fuse.weight
    fuse[dormant] = torch.randn_like(fuse[dormant]) * fuse.std()
    classifier.weight[:, dormant] = 0
    norm.weight[dormant], norm.bias[dormant] = 1, 0
    seen = _flat_maps(_record([norm], run)[norm])
    norm.running_mean[dormant] = seen.mean(0)[dormant]
    norm.running_var[dormant] = seen.var(0)[dormant]
    return int(dormant.sum())


def _record(
    layers: Sequence[nn.Module], run: Callable[[], None]
) -> dict[nn.Module, list[torch.Tensor]]:
    """What comes into layers while the network runs, by layer."""
    inputs = {layer: [] for layer in layers}
    hooks = [
        layer.register_forward_pre_hook(lambda layer, given: inputs[layer].append(given[0]))
        for layer in layers
    ]
    run()
    for hook in hooks:
        hook.remove()
    return inputs


def _flat(batches: list[torch.Tensor]) -> torch.Tensor:
    """Tokens (B, N, C) of some batches as (n, C)."""
    return torch.cat([batch.flatten(0, 1) for batch in batches])


def _flat_maps(batches: list[torch.Tensor]) -> torch.Tensor:
    """Maps (B, C, H, W) of some batches as (n, C)."""
    return torch.cat([batch.permute(0, 2, 3, 1).flatten(0, 2) for batch in batches])
