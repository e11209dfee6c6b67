"""The network, the loss and the decoder together: eight images can be learnt by heart."""

import torch
from easy_images import SIDE, write_images

from textdet.data.source import open_source
from textdet.network.segformer import new_model
from textdet.training.arguments import DetectorTrainingArguments
from textdet.training.augmentation import make_preset
from textdet.training.datasets import MixSampler, TrainDataset, ValidationDataset
from textdet.training.loss import HeatmapLoss
from train_utils import HeatmapTrainer

STEPS = 60


def test_learns_eight_images_by_heart(tmp_path):
    source, _ = open_source(write_images(tmp_path, 8), SIDE, caching=False, workers=1)
    sampler, test_set = MixSampler([8], None, seed=0), ValidationDataset(source)
    args = DetectorTrainingArguments(
        output_dir=str(tmp_path / "out"), use_cpu=True, max_steps=STEPS, learning_rate=2e-3,
        per_device_train_batch_size=8, dataloader_num_workers=0, save_strategy="no",
        eval_strategy="no", load_best_model_at_end=False, report_to="none", disable_tqdm=True,
        seed=0,
    )  # fmt: skip
    torch.manual_seed(0)
    train_set = TrainDataset(source, make_preset("none", SIDE, SIDE))
    trainer = HeatmapTrainer(
        model=new_model(), args=args, train_dataset=train_set,
        eval_dataset=test_set, loss=HeatmapLoss(), sampler=sampler,
        truth=test_set.truth(),
    )  # fmt: skip
    trainer.train()
    metrics = trainer.evaluate()
    assert metrics["eval_f1"] > 0.95, metrics
