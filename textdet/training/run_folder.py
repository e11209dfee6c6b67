"""A run's folder: whether it is one, one run at a time, what the run before it was."""

from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from textdet.common.errors import DataError
from textdet.common.files import earlier_record, read_json
from textdet.data.chunked_folder import compare_settings
from textdet.data.held_out import CHECKPOINT, TRAINING_FILE, record_file
from textdet.network.model_files import CONFIG_FILE, WEIGHTS_FILE

LOCK = "_train.lock"  # held as long as a run is under way; a _ keeps it off the model hub
WAIT = 6  # s for it: processes that load images outlive a killed run by 5, and hold it as well
# What a run writes over; it begins with TRAINING_FILE.
OF_A_RUN = {CONFIG_FILE, WEIGHTS_FILE, "preprocessor_config.json", TRAINING_FILE}
OF_A_RUN |= {f"{name}_results.json" for name in ("train", "eval", "all")}
OF_A_RUN |= {"training_args.bin", "trainer_state.json", "training_curves.png", "predictions.png"}
# Of the flags in training.json those that change what is learned, or what is kept of it.
OF_MODEL = ("model_name_or_path", "from_scratch", "key_pooling", "fixed_statistics")
OF_MODEL += ("recycle", "tuned_thresholds")
OF_DATA = ("mix", "image_size", "crop_size", "augmentation", "mirror", "gap_weight")
OF_DATA += ("focal_weight", "focal_gamma", "test_size", "unseen", "max_train_samples")
OF_DATA += ("hard_words", "hard_share")
OF_TRAINING = ("per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate")
OF_TRAINING += ("weight_decay", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim")
OF_TRAINING += ("muon", "ema", "seed", "data_seed", "metric_for_best_model")
# What the section "model" says of the start, which the first command of a run decides.
OF_START = {"model_name_or_path": str, "from_scratch": bool, "recycle": bool}
OF_START |= {"started_from": str}

# Of the record of --generate those whose values say nothing.
FINGERPRINTS = ("backgrounds", "fonts", "words", "defaults", "code")


def check_own(folder: Path) -> None:
    """Make sure that a folder holds no model, checkpoints and results but those of train.py's.

    Raises:
        DataError: it does.
    """
    found = list(folder.iterdir()) if folder.is_dir() else []
    others = [p.name for p in found if p.name in OF_A_RUN or CHECKPOINT.fullmatch(p.name)]
    if others and not is_run(folder):
        raise DataError(
            f"{folder}: has {sorted(others)[0]}, but no {TRAINING_FILE} of train.py's: it is not "
            "overwritten; name another --output_dir (--model_name_or_path starts from that model)"
        )


def is_run(folder: Path) -> bool:
    """Whether train.py has made this folder, as its training.json says."""
    return {"command", "versions", "training"} <= earlier_record(folder / TRAINING_FILE).keys()


def hold(folder: Path) -> AcquireReturnProxy:
    """Lock a folder against other runs until this process ends, or the result, a context, is left.

    Raises:
        DataError: another run is under way there.
    """
    try:
        return FileLock(folder / LOCK).acquire(timeout=WAIT)
    except Timeout:
        raise DataError(
            f"{folder}: another training is under way there; wait for it, or name another "
            "--output_dir"
        ) from None


def describe_changes(folder: Path, record: dict) -> str:
    """What sets a command apart from the one before it.

    Params:
        folder: of the run.
        record: the sections of training.json that the command would write.

    Returns:
        A phrase; empty when nothing does that changes what is learned or kept.
    """
    if not (before := earlier_record(folder / TRAINING_FILE)):
        return ""
    changes = []
    if before.get("data_fingerprint", record["data_fingerprint"]) != record["data_fingerprint"]:
        changes.append(f"other data ({_words(before)} then, {_words(record)} now)")
    changes += _changes_of_scenes(before.get("generator", {}), record.get("generator", {}))
    for section, names in (("model", OF_MODEL), ("data", OF_DATA), ("training", OF_TRAINING)):
        then, now = before.get(section), record[section]
        if isinstance(then, dict):
            changes += [
                f"--{name} {now[name]} instead of {then[name]}"
                for name in names
                if name in then and name in now and then[name] != now[name]
            ]
    return ", ".join(changes)


def first_start(checkpoint: Path) -> dict:
    """What training.json says of the model that a run began with.

    Params:
        checkpoint: of the run.

    Returns:
        Fields of its section "model", OF_START as far as they are known; started_from always.
    """
    try:
        model = read_json(record_file(checkpoint) or checkpoint / TRAINING_FILE)["model"]
        known = {n: model[n] for n, kind in OF_START.items() if isinstance(model.get(n), kind)}
    except (DataError, KeyError, AttributeError):  # damaged
        known = {}
    named = "" if known.get("from_scratch") else known.get("model_name_or_path", "")
    return {"started_from": named} | known


def _changes_of_scenes(before: dict, now: dict) -> list[str]:
    """What sets the scenes of --generate apart, a phrase each.

    before, now: the records of it; empty where there are none.
    """
    if not before or not now:
        return [f"--generate {bool(now)} instead of {bool(before)}"] if before or now else []
    changes = []
    for name, then, value in compare_settings(before, now):
        if then != value:
            known = name not in FINGERPRINTS
            changes.append(f"{name} {value} instead of {then}" if known else f"other {name}")
    return changes


def _words(record: dict) -> str:
    """The folders and the number of images, as training.json has them."""
    try:
        number, folders = sum(record["images"].values()), record["data"]["input_dir"]
        return f"{number} images in {', '.join(map(str, folders))}"
    except (KeyError, TypeError, AttributeError):  # damaged, or an older version's
        return "unknown images"
