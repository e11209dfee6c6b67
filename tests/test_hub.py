"""train.py --push_to_hub, with a stand-in for the model hub on localhost."""

import json
import os
import sys

import pytest
from conftest import assert_refused, run_well
from easy_images import SIDE, write_images
from huggingface_hub import ModelCard
from stand_in_hub import TOKEN, stand_in_hub

import train
from textdet.training.hub import OURS, make_card, make_usage
from textdet.training.report import save_record

NAME = "someone/words"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Its address and its repositories; processes that are started find it, and no token."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with stand_in_hub() as (address, repositories):
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address, repositories


@pytest.fixture
def train_here(monkeypatch, run_here):
    """Runs train.py in this process, with a hub at an address."""

    def call_main(address, *flags):
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", address)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        return run_here("train.py", *flags)

    return call_main


def test_a_run_is_pushed_with_its_card(hub, tmp_path, monkeypatch, train_here):
    address, repositories = hub
    write_images(tmp_path / "data", 16)
    folder = tmp_path / "out"
    left_out = ("validation/images/0.jpg", "tune/maps-1/000000.npy", ".hidden")
    for name in left_out:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("large")
    flags = ("--input_dir", tmp_path / "data", "--output_dir", folder, "--image_size", SIDE)
    flags += ("--crop_size", 64, "--use_cpu", "True", "--test_size", 0.25, "--from_scratch", "True")
    flags += ("--max_steps", 2, "--per_device_train_batch_size", 4, "--save_strategy", "steps")
    flags += ("--save_steps", 1, "--eval_strategy", "steps", "--eval_steps", 1)
    flags += ("--dataloader_num_workers", 0, "--push_to_hub", "True", "--hub_model_id", "words")
    private = ("--hub_private_repo", "True", "--hub_token", TOKEN, "--hub_always_push", "True")
    result = run_well("train.py", *flags, *private)
    assert f"uploaded: {address}/{NAME}" in result.stdout
    assert list(repositories) == [NAME] and repositories[NAME].made_with["visibility"] == "private"
    *under_way, last = repositories[NAME].messages
    assert under_way == ["Training in progress, step 1", "Training in progress, step 2"]
    assert last == "End of training"

    files = repositories[NAME].files
    for name in ("model.safetensors", "config.json", "preprocessor_config.json", "README.md",
                 "eval_results.json", "training.json", "predictions.png"):  # fmt: skip
        assert files[name] == (folder / name).read_bytes(), name
    assert not [name for name in files if "checkpoint-" in name or "lock" in name]
    assert not files.keys() & set(left_out)
    everything = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in everything if TOKEN.encode() in path.read_bytes()]
    assert "***" in json.loads(files["training.json"])["command"]

    card = ModelCard(files["README.md"].decode())
    assert card.data.library_name == "transformers" and "text-detection" in card.data.tags
    metrics = json.loads((folder / "eval_results.json").read_text())
    shown = {each.metric_type: each.metric_value for each in card.data.eval_results}
    names = "precision", "recall", "f1"
    assert shown == {name: round(metrics[f"eval_{name}"], 4) for name in names}
    assert f"| {metrics['eval_heatmap_error']:.3f} |" in card.text
    assert "12 images of data" in card.text and "with 4 images that were held out" in card.text
    assert f'snapshot_download("{NAME}")' in card.text and "| steps | 2 |" in card.text

    # Of a run that was not pushed the card names the folder; the hub's name when it is.
    local = card.content.replace(make_usage(NAME), make_usage("out"))
    assert f'TextDetector("{folder.name}")' in local and "snapshot_download" not in local
    (folder / "README.md").write_text(local)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert train_here(address, *flags).returncode == 0
    assert files["README.md"].decode() == card.content

    # Once more, the run is finished: what has come since goes there; a person's card stays.
    (folder / "README.md").write_text("mine")
    (folder / "detection.json").write_text("{}")
    assert "trained as far as asked" in train_here(address, *flags).stdout
    assert files["README.md"] == b"mine" and files["detection.json"] == b"{}"
    assert not files.keys() & set(left_out)


@pytest.mark.parametrize(
    ("address", "token", "said"),
    [
        (None, None, "hf auth login"),
        (None, "wrong", "Invalid username or password."),
        ("http://127.0.0.1:1", TOKEN, "Connection refused"),
    ],
)
def test_a_hub_that_cannot_be_had_is_one_line(
    hub, address, token, said, tmp_path, monkeypatch, train_here
):
    """Before anything that takes long: nothing is read, nothing trained."""
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    flags = ("--input_dir", tmp_path, "--output_dir", tmp_path / "out", "--push_to_hub", "True")
    result = train_here(address or hub[0], *flags, "--use_cpu", "True")
    assert_refused(result, "train.py: error: --push_to_hub: ", said)
    assert token is None or token not in result.stderr
    assert not hub[1]


@pytest.mark.parametrize("flag", ["--hub_token", "--hub-token", "--hub_tok", "--hub-t"])
def test_a_token_is_in_no_record(flag, tmp_path, monkeypatch):
    """However the flag is written, as long as the parser takes it."""
    for words in ([flag, TOKEN], [f"{flag}={TOKEN}"]):
        monkeypatch.setenv("HF_TOKEN", "another")
        monkeypatch.setattr(sys, "argv", ["train.py", *words, "--output_dir", "out"])
        train.parse_arguments()
        assert os.environ["HF_TOKEN"] == TOKEN
        save_record(tmp_path / "training.json")
        command = json.loads((tmp_path / "training.json").read_text())["command"]
        assert TOKEN not in " ".join(command) and command[-2:] == ["--output_dir", "out"]


def test_a_card_tells_mix_and_start():
    record = {
        "images": {"train": 90, "test": 10},
        "data": {"input_dir": ["/home/me/drawn", "labelled"], "mix": [5.0, 1.0]},
        "model": {"tuned_thresholds": True},
        "training": {"learning_rate": 1e-4, "ema": None},
    }
    metrics = {f"eval_{name}": 0.5 for name in ("precision", "recall", "f1", "iou")}
    for start, base, told in (
        ("nvidia/segformer-b0", "nvidia/segformer-b0", "nvidia/segformer-b0"),
        ("static/model", None, "static/model"),
        ("/home/me/models/mine", None, "models/mine"),
        ("", None, "random weights"),
    ):
        record["model"]["started_from"] = start
        card = ModelCard(make_card("me/words", record, metrics, 7))
        assert card.data.base_model == base
        assert f"It started from {told}." in card.text
    assert "90 images of drawn, labelled, mixed 5:1." in card.text and "/home" not in card.text
    assert "its own thresholds" in card.text and "running average" not in card.text
    assert card.text.rstrip().endswith(OURS)
    assert "`key_pooling`, transformers alone computes other maps" in card.text
