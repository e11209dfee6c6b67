"""What tuning costs: the network once an image, then the trials.

    python benchmarks/bench_tuning.py [--model_dir static/model]

Generates images, runs a model over them at their own size, through ONNX Runtime where it has been
exported, and searches thresholds for them. Processor seconds, so that other work on the machine
counts less; worker processes' start is in the trials' total.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import optuna  # noqa: E402
import torch  # noqa: E402

from static import constants as C  # noqa: E402
from textdet.common.cli import ArgumentParser, integer, run_main  # noqa: E402
from textdet.common.workers import available_cores  # noqa: E402
from textdet.data.triplets import read_samples  # noqa: E402
from textdet.decoding.settings import DetectionSettings  # noqa: E402
from textdet.network.detector import TextDetector  # noqa: E402
from textdet.tuning.maps import predict_maps  # noqa: E402
from textdet.tuning.scoring import Scorer  # noqa: E402
from textdet.tuning.study import open_study, search  # noqa: E402
from train_utils import compute_metrics  # noqa: E402


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model_dir", type=Path, help="default: the bundled model")
    parser.add_argument("--images", type=integer(1), default=100)
    parser.add_argument(
        "--repeat", type=integer(1), default=5, help="times that a trial sees each image"
    )
    parser.add_argument("--n_trials", type=integer(1), default=100)
    parser.add_argument("--n_jobs", type=integer(1), default=available_cores())
    args = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}, Optuna {optuna.__version__}"
    )
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), args)


def measure(folder: Path, args: argparse.Namespace) -> None:
    generate = ("generate_images.py", "--num_images", str(args.images), "--seed", "777")
    subprocess.run(
        [sys.executable, *generate, "--save_folder", folder / "data"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    samples = read_samples(folder / "data")[0]
    detector = TextDetector(args.model_dir, long_side=512)
    started = time.process_time()
    maps, _ = predict_maps(folder, "maps", samples, lambda: detector)
    network = time.process_time() - started

    base = DetectionSettings(long_side=512)
    scorer = Scorer({512: maps}, [*range(len(samples))] * args.repeat, samples)
    study = open_study(None, folder / "trials.log", "study", "key", base)
    started, before = time.perf_counter(), processor_seconds()
    search(study, scorer, base, args.n_trials, args.n_jobs)
    wall, trials = time.perf_counter() - started, processor_seconds() - before
    stopped = [trial.state.name for trial in study.trials].count("PRUNED")
    settings = sum(len(trial.user_attrs["sweep"]) for trial in study.trials)

    started = time.process_time()
    compute_metrics(*scorer.maps_and_truth(base), base)
    single = time.process_time() - started
    words = np.mean([len(sample.words) for sample in samples])
    print(f"  {len(samples)} images of {C.IMAGE_SIZE} px, {words:.0f} words an image")
    print(f"  network, {detector.runtime}: {network / len(samples):.3f} s an image")
    print(
        f"  {args.n_trials} trials on {len(scorer.rows)} images with {args.n_jobs} processes: "
        f"{trials:.0f} s of the processor, {wall:.0f} s by the clock"
    )
    print(
        f"  a trial: {trials / args.n_trials:.2f} s, {stopped} of them stopped early; "
        f"{settings} settings scored; one setting alone: {single:.2f} s"
    )


def processor_seconds() -> float:
    """Of this process and of those children that have ended (not on Windows)."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    run_main(main)
