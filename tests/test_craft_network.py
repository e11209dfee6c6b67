"""CRAFT's network against the plain reference, and files that are no weights of it."""

import pickle

import numpy as np
import pytest
import torch
from reference_craft_network import reference_maps

from textdet.common.errors import DataError
from textdet.network.craft import PARALLEL_PREFIX, Craft, load_craft


@pytest.fixture(scope="module")
def weights():
    """Random ones in the published names, with batch normalisations that do something."""
    torch.manual_seed(0)
    tensors = Craft().state_dict()
    for name, tensor in tensors.items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 4:
            torch.nn.init.kaiming_normal_(tensor)
    return tensors


@pytest.fixture(scope="module")
def published(weights, tmp_path_factory):
    """A file as the authors saved theirs: of a network within nn.DataParallel."""
    path = tmp_path_factory.mktemp("craft") / "craft_random.pth"
    torch.save({PARALLEL_PREFIX + name: tensor for name, tensor in weights.items()}, path)
    return path


@pytest.mark.parametrize("shape", [(64, 96), (160, 32)])
def test_the_maps_of_the_published_procedure(published, weights, shape):
    pixels = torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = reference_maps(weights, pixels), load_craft(published)(pixels)[0]
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_a_relu_more_would_be_noticed(weights):
    """conv5_2's ReLU, which the published network does not reach, changes the maps."""
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    network = Craft().eval()
    network.load_state_dict(weights)
    with torch.no_grad():
        before = network(pixels)
        network.basenet.slice4.append(torch.nn.ReLU())
        after = network(pixels)
    assert (before - after).abs().max() > 0.01 * before.abs().max()


def test_safetensors_of_the_same_weights(weights, tmp_path, published):
    from safetensors.torch import save_file

    save_file(weights, tmp_path / "craft.safetensors")
    loaded = load_craft(tmp_path / "craft.safetensors").state_dict()
    for name, tensor in load_craft(published).state_dict().items():
        assert torch.equal(tensor, loaded[name])


class Malicious:
    """What runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_file_does_not_run(tmp_path, published):
    victim = tmp_path / "victim"
    for name, content in (
        ("plain", pickle.dumps(Malicious(victim))),
        ("tensors", None),
    ):
        path = tmp_path / f"{name}.pth"
        if content is None:
            torch.save({"basenet.slice1.0.weight": Malicious(victim)}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(DataError, match="holds code"):
            load_craft(path)
    assert not victim.exists()


def test_what_is_no_craft(tmp_path, published, weights):
    path = tmp_path / "odd.pth"
    for content, message in (
        ({**weights, "fc.weight": torch.zeros(2)}, "fc.weight is unknown"),
        (
            {k: v for k, v in weights.items() if k != "conv_cls.8.bias"},
            "conv_cls.8.bias is missing",
        ),
        ({**weights, "conv_cls.8.bias": torch.zeros(3)}, r"\(3,\) instead of \(2,\)"),
        ({**weights, "conv_cls.8.bias": torch.full((2,), torch.nan)}, "not finite"),
        ([torch.zeros(2)], "no named tensors"),
        ({"epoch": 3, "model": weights}, "more than named tensors"),
    ):
        torch.save(content, path)
        with pytest.raises(DataError, match=message):
            load_craft(path)
    path.write_bytes(published.read_bytes()[:100_000])
    with pytest.raises(DataError, match="not a file of weights"):
        load_craft(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not a file of weights"):
        load_craft(path)
    with pytest.raises(DataError, match="no such file"):
        load_craft(tmp_path / "missing.pth")
