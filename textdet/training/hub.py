"""A trained model on the Hugging Face hub: its repository, its card, its upload."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdet.common.errors import DataError
from textdet.common.files import write_atomically
from textdet.training.options import METRICS

if TYPE_CHECKING:  # importing it takes seconds
    from transformers import TrainingArguments

CARD = "README.md"
OURS = "<!-- train.py writes this page anew; without this line it leaves it as it is -->"
# Of a run's folder what is of no use elsewhere: checkpoints, maps of the images tuned on, images
# drawn to validate with, locks.
NOT_PUSHED = ["checkpoint-*", "tune/maps-*", "validation/*", "_*", ".*"]
TAGS = ["text-detection", "ocr", "segformer"]
SETTINGS = {  # of training.json, shown in the card: what it is, its section and name
    "image size, px": ("data", "image_size"),
    "crop size, px": ("data", "crop_size"),
    "crops a step and process": ("training", "per_device_train_batch_size"),
    "steps whose gradients are added up": ("training", "gradient_accumulation_steps"),
    "learning rate": ("training", "learning_rate"),
    "schedule": ("training", "lr_scheduler_type"),
    "weight decay": ("training", "weight_decay"),
    "Muon": ("training", "muon"),
    "running average": ("training", "ema"),
    "augmentation": ("data", "augmentation"),
    "seed": ("training", "seed"),
}


# --- The repository --------------------------------------------------------------------------


def make_repository(args: "TrainingArguments") -> None:
    """Make the repository that --push_to_hub writes to, before anything that takes long.

    Params:
        args: its hub_model_id becomes the full name, OWNER/NAME. Without push_to_hub, and on all
            processes but the first, nothing is done.

    Raises:
        DataError: there is no token, or the hub does not answer or refuses.
    """
    if not args.push_to_hub or args.process_index:
        return
    from huggingface_hub import create_repo, get_token

    if not get_token():
        raise DataError(
            "--push_to_hub: no token of the model hub's is here: log in by `hf auth login`, or "
            "set HF_TOKEN"
        )
    with _talking():
        name = args.hub_model_id or Path(args.output_dir).absolute().name
        args.hub_model_id = create_repo(name, private=args.hub_private_repo, exist_ok=True).repo_id


def push(args: "TrainingArguments") -> None:
    """Upload the run's folder to its repository, and say where it is.

    Params:
        args: see make_repository.

    Raises:
        DataError: the hub does not answer or refuses.
    """
    if not args.push_to_hub or args.process_index:
        return
    from huggingface_hub import upload_folder

    _name_repository(args)
    with _talking(f"; the model is in {args.output_dir}, the same command uploads it"):
        done = upload_folder(
            repo_id=args.hub_model_id,
            folder_path=args.output_dir,
            commit_message="End of training",
            ignore_patterns=NOT_PUSHED,
            revision=args.hub_revision,
        )
    print(f"uploaded: {done.commit_url}")


@contextmanager
def pushing_less() -> Iterator[None]:
    """Within it the Trainer's own uploads, those of a run under way, leave out NOT_PUSHED too."""
    from transformers.utils.hub import hf_api

    api = hf_api()  # the one that the Trainer uses
    upload = api.upload_folder

    def upload_less(*, ignore_patterns: Sequence[str] = (), **given: Any) -> Any:
        return upload(ignore_patterns=[*ignore_patterns, *NOT_PUSHED], **given)

    api.upload_folder = upload_less
    try:
        yield
    finally:
        del api.upload_folder


@contextmanager
def _talking(more: str = "") -> Iterator[None]:
    """Report what the hub, or the way to it, says as DataError.

    Params:
        more: end of the message.
    """
    from huggingface_hub.constants import ENDPOINT

    try:
        yield
    except Exception as error:  # of the hub's, of its transport's, of what names may be
        said = getattr(error, "server_message", None) or str(error) or type(error).__name__
        raise DataError(f"--push_to_hub: {ENDPOINT}: {said.splitlines()[0]}{more}") from None


# --- The card --------------------------------------------------------------------------------


def write_card(
    args: "TrainingArguments", record: dict, metrics: dict[str, float], steps: int
) -> None:
    """Write the model's card from a run, unless a person has written one.

    Params:
        args: name the run's folder and, once it is known, the model on the hub.
        record: the sections of training.json.
        metrics: of the validation, their names with "eval_" before them.
        steps: of training.
    """
    path = Path(args.output_dir) / CARD
    if args.process_index or (
        path.exists() and OURS not in path.read_text(encoding="utf-8", errors="replace")
    ):
        return
    name = args.hub_model_id or path.absolute().parent.name
    write_atomically(path, make_card(name, record, metrics, steps))


def _name_repository(args: "TrainingArguments") -> None:
    """Have the card of a run that was not pushed until now name the model as the hub does."""
    path = Path(args.output_dir).absolute() / CARD
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    named = text.replace(make_usage(path.parent.name), make_usage(args.hub_model_id))
    if OURS in text and named != text:
        write_atomically(path, named)


def make_card(name: str, record: dict, metrics: dict[str, float], steps: int) -> str:
    """The text of a card; see write_card."""
    start = record["model"]["started_from"]  # a folder, a name on the hub, or "" for random weights
    folders = [Path(folder).name for folder in record["data"]["input_dir"]]
    shares = record["data"]["mix"]
    mix = f", mixed {':'.join(f'{share:g}' for share in shares)}" if shares else ""
    images = record["images"]
    trained = ["scenes drawn while it was trained"] if "generator" in record else []
    if folders:
        trained.append(f"{images['train']} images of {', '.join(folders)}")
    settings = {"steps": steps} | {
        text: record[section].get(key) for text, (section, key) in SETTINGS.items()
    }
    names = [metric for metric in METRICS if f"eval_{metric}" in metrics]
    thresholds = "its own thresholds" if record["model"]["tuned_thresholds"] else "the defaults"
    is_on_hub = re.fullmatch(r"[\w.-]+/[\w.-]+", start) and not os.path.exists(start)
    first = start if is_on_hub else "/".join(Path(start).parts[-2:])
    return f"""---
{_metadata(name, folders or ["generated scenes"], metrics, start if is_on_hub else None)}
---

# {name.split("/")[-1]}

A text detector: SegFormer with two output channels, CRAFT's character and affinity heatmaps, at a
quarter of the image's resolution. It finds the words in photographs and documents; it does not
read them.

## Results

Validated with {images["test"]} images that were held out, by the protocol of ICDAR 2015 at IoU 0.5,
with {thresholds} for text_threshold, link_threshold and low_text:

| {" | ".join(each.replace("_", " ") for each in names)} |
|{"---|" * len(names)}
| {" | ".join(f"{metrics[f'eval_{each}']:.3f}" for each in names)} |

## Data

Trained on {" and ".join(trained)}{mix}. Whoever passes the model on keeps
to the terms of these images, and of the model that it started from.

## Training

It started from {first or "random weights"}.

| setting | value |
|---|---|
{chr(10).join(f"| {text} | {value} |" for text, value in settings.items() if value is not None)}

All settings, the versions of the packages and the images held out are in `training.json`.

## Use

{make_usage(name)}
Where `config.json` has `key_pooling`, transformers alone computes other maps: use the ONNX file
that `detect.py --export_onnx` writes.

{OURS}
"""


def make_usage(name: str) -> str:
    """How the model is used from Python, as a card says it.

    Params:
        name: on the hub, OWNER/NAME, or of its folder.
    """
    loading = f"""from textdet import TextDetector

detector = TextDetector("{name}")  # this folder"""
    if "/" in name:
        loading = f"""from huggingface_hub import snapshot_download
from textdet import TextDetector

detector = TextDetector(snapshot_download("{name}"))"""
    return f"""```python
{loading}
for word in detector("photo.jpg").words:
    print(word.quad, word.score)
```

The network alone loads by `SegformerForSemanticSegmentation.from_pretrained("{name}")`; a sigmoid
makes its logits the two maps. `preprocessor_config.json` has the normalisation.
"""


def _metadata(
    name: str, folders: list[str], metrics: dict[str, float], base_model: str | None
) -> str:
    """The card's head, as YAML.

    Params:
        base_model: name on the hub of the model that training started from.
    """
    from huggingface_hub import EvalResult, ModelCardData

    task = {"task_type": "object-detection", "task_name": "text detection"}
    data = {"dataset_type": "imagefolder", "dataset_name": ", ".join(folders)}
    head = ModelCardData(
        model_name=name.split("/")[-1],
        library_name="transformers",
        base_model=base_model,
        tags=TAGS,
        eval_results=[
            EvalResult(
                **task,
                **data,
                metric_type=each,
                metric_name=each,
                metric_value=round(metrics[f"eval_{each}"], 4),
            )
            for each in ("precision", "recall", "f1")
        ],
    )
    return head.to_yaml()
