"""What a SegFormer's config.json may say: a short list, checked before anything is built.

All else in the file is ignored, such as what would have the library load code or other files.
"""

from pathlib import Path

from textdet.common.errors import DataError
from textdet.common.files import read_json
from textdet.network.model_files import CONFIG_FILE

STAGES = 4
MAX_LAYERS = 64  # of all stages; SegFormer-b5, the largest that is published, has 52
# Fields and their ranges, both ends included, wide enough for every published SegFormer.
INTEGERS = {"decoder_hidden_size": (1, 2048), "semantic_loss_ignore_index": (-1000, 1000)}
INTEGERS |= {"num_channels": (3, 3), "num_encoder_blocks": (STAGES, STAGES)}
INTEGERS_BY_STAGE = {"depths": (1, MAX_LAYERS), "hidden_sizes": (1, 1024), "patch_sizes": (1, 15)}
INTEGERS_BY_STAGE |= {"strides": (1, 8), "sr_ratios": (1, 64), "num_attention_heads": (1, 64)}
INTEGERS_BY_STAGE |= {"mlp_ratios": (1, 8)}
SHARES = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob")
SHARES += ("drop_path_rate", "initializer_range", "layer_norm_eps")
ACTIVATIONS = ("gelu", "relu", "gelu_new", "gelu_pytorch_tanh", "silu")
PASSED_ON = ("hidden_act", "reshape_last_stage", "key_pooling")  # the last is checked by pool_keys


def read_config(folder: Path) -> tuple[dict, int]:
    """Read what a model's config.json says of its layers.

    Params:
        folder: of the model.

    Returns:
        Fields of SegformerConfig, without the labels, and with key_pooling where it is named; and
        the number of labels.

    Raises:
        DataError: it is damaged, of another kind of model, or has a value out of its range.
    """
    path = folder / CONFIG_FILE
    record = read_json(path)
    if record.get("model_type") != "segformer":
        raise DataError(f"{path}: is of no SegFormer (model_type {record.get('model_type')!r})")
    problem = _find_problem(record)
    if problem:
        raise DataError(f"{path}: {problem}")
    fields = (*INTEGERS, *INTEGERS_BY_STAGE, *SHARES, *PASSED_ON)
    labels = record.get("id2label", {0: "", 1: ""})  # the library's default
    count = record.get("num_labels", len(labels) if isinstance(labels, dict) else None)
    return {name: record[name] for name in fields if name in record}, count


def _find_problem(record: dict) -> str | None:
    """A phrase on the first field that is not what it may be."""
    for name, bounds in INTEGERS.items():
        if name in record and not _is_number(record[name], bounds, int):
            return f"{name} must be a whole number from {bounds[0]} to {bounds[1]}"
    for name, bounds in INTEGERS_BY_STAGE.items():
        values = record.get(name)
        if name in record and not (
            isinstance(values, list)
            and len(values) == STAGES
            and all(_is_number(value, bounds, int) for value in values)
        ):
            return f"{name} must be {STAGES} whole numbers from {bounds[0]} to {bounds[1]}"
    for name in SHARES:
        if name in record and not _is_number(record[name], (0, 1), (int, float)):
            return f"{name} must lie between 0 and 1"
    if record.get("hidden_act", ACTIVATIONS[0]) not in ACTIVATIONS:
        return f"hidden_act must be one of {', '.join(ACTIVATIONS)}"
    if not isinstance(record.get("reshape_last_stage", True), bool):
        return "reshape_last_stage must be true or false"
    if sum(record.get("depths", [])) > MAX_LAYERS:
        return f"depths must not add up to more than {MAX_LAYERS}"
    sizes, heads = record.get("hidden_sizes", []), record.get("num_attention_heads", [])
    if any(size % number for size, number in zip(sizes, heads, strict=False)):
        return "hidden_sizes must be multiples of num_attention_heads"
    return None


def _is_number(value: object, bounds: tuple[float, float], kind: type | tuple[type, ...]) -> bool:
    is_one = isinstance(value, kind) and not isinstance(value, bool)
    return is_one and bounds[0] <= value <= bounds[1]
