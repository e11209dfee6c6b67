"""What a process of several does in test_train.py: train.py's work, a test over all images, and the
gradients of its part of a batch. Run by torchrun; the first process writes the result to a file.

    torchrun --nproc_per_node=2 tests/two_processes.py FOLDER RESULT [train.py's flags]
"""

import sys
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402

import train  # noqa: E402
from textdet.data.source import open_source  # noqa: E402
from textdet.data.triplets import read_samples  # noqa: E402
from textdet.network.segformer import fix_statistics, new_model  # noqa: E402
from textdet.training.arguments import DetectorTrainingArguments  # noqa: E402
from textdet.training.datasets import ValidationDataset  # noqa: E402
from textdet.training.loss import HeatmapLoss, gather_batch  # noqa: E402
from train_utils import HeatmapTrainer  # noqa: E402


def train_with_fixed_statistics(*args) -> None:
    """train.py's main, but BatchNorm does not take the batch's statistics: these are each process's
    own, of its own part."""

    def fixed_model():
        model = new_model()
        fix_statistics(model)
        return model

    argv = ["train.py", *map(str, args)]
    with patch("textdet.network.segformer.new_model", fixed_model), patch.object(sys, "argv", argv):
        train.main()


def gradients(rank: int, count: int) -> torch.Tensor:
    """Of all parameters, for the `rank`-th of `count` parts of a batch; BatchNorm does not learn
    statistics, which are each process's own."""
    torch.manual_seed(0)
    model = new_model().eval()
    pixels = torch.randn(4, 3, 64, 64)
    labels = torch.randint(256, (4, 2, 32, 32), dtype=torch.uint8)
    labels[:2] //= 8  # so that the parts differ in their sums
    weights = torch.randint(256, (4, 1, 32, 32), dtype=torch.uint8)
    weights[:2] = 255
    network = torch.nn.parallel.DistributedDataParallel(model) if count > 1 else model
    part = slice(rank * 4 // count, (rank + 1) * 4 // count)
    own_weights = weights[part] if (weights[part] < 255).any() else None
    batch = gather_batch(network(pixel_values=pixels[part]).logits, labels[part], own_weights)
    HeatmapLoss()(*batch).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def evaluate(folder: Path, output: Path) -> dict[str, float]:
    """Test a model with random weights on the images of a triplet folder, three at a time."""
    args = DetectorTrainingArguments(
        output_dir=str(output), use_cpu=True, per_device_eval_batch_size=3, report_to="none",
        dataloader_num_workers=0, disable_tqdm=True, bf16=False,
    )  # fmt: skip
    torch.manual_seed(0)
    model = new_model()
    torch.nn.init.constant_(model.decode_head.classifier.bias, 1.0)  # finds something everywhere
    if torch.distributed.is_initialized():  # as after training, each has statistics of its own
        model.decode_head.batch_norm.running_mean += torch.distributed.get_rank()
    test_set = ValidationDataset(open_source(read_samples(folder)[0], 128, False, 1)[0])
    trainer = HeatmapTrainer(
        model=model, args=args, eval_dataset=test_set, loss=HeatmapLoss(), truth=test_set.truth()
    )
    return {name: value for name, value in trainer.evaluate().items() if "per_second" not in name}


def main() -> None:
    folder, result = map(Path, sys.argv[1:3])
    train_with_fixed_statistics(*sys.argv[3:])  # TrainingArguments joins the processes
    metrics = evaluate(folder, result.parent)
    rank, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
    found = gradients(rank, count)
    if rank == 0:
        torch.save({"metrics": metrics, "gradients": found}, result)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
