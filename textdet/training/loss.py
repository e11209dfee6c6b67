"""The loss: MONAI's DiceFocalLoss on soft heatmaps, with a weight for each pixel."""

import torch
import torch.distributed as dist

from static import constants as C
from textdet.network.segformer import upsample


class HeatmapLoss(torch.nn.Module):
    """MONAI's DiceFocalLoss on soft heatmaps, logits upsampled to the labels' resolution.

    squared_pred keeps the heatmap's values; without it they turn into near-binary masks, and
    CRAFT's thresholds lose their meaning. batch=True takes the Dice over the whole batch, so that
    a crop without text does not count as much as all the others.

    With weights w, the Dice of sqrt(w) p and sqrt(w) t is the weighted Dice: its sums are w p t,
    w p^2 and w t^2. The focal part is the weighted mean.

    Params:
        focal_weight: from 0, of the focal part against the Dice part, whose gradient vanishes where
            the network is sure and wrong.
        focal_gamma: from 0, how much the focal part looks at the worst pixels. 0 is cross entropy;
            with more, a focal part much heavier than the Dice drives soft labels towards 0 and 1.
    """

    def __init__(self, focal_weight: float = C.FOCAL_WEIGHT, focal_gamma: float = C.FOCAL_GAMMA):
        super().__init__()
        from monai.losses import DiceFocalLoss, DiceLoss, FocalLoss

        dice = {"squared_pred": True, "include_background": True, "batch": True}
        self.unweighted = DiceFocalLoss(
            sigmoid=True, gamma=focal_gamma, lambda_focal=focal_weight, **dice
        )
        self.dice = DiceLoss(**dice)
        self.focal = FocalLoss(gamma=focal_gamma, reduction="none")
        self.focal_weight = focal_weight

    def forward(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Params:
            logits: (B, 2, h, w) float.
            labels: (B, 2, H, W) uint8, 0..255 for 0..1.
            weights: (B, 1, H, W) uint8, 0..255 for 0..1; None when all are 1.

        Returns:
            A scalar; 0 when all weights are 0.
        """
        logits = upsample(logits.float(), labels.shape[2:])
        target = labels.float() / 255
        if weights is None:
            return self.unweighted(logits, target)
        weights = weights.float() / 255
        root = weights.sqrt()
        dice = self.dice(root * torch.sigmoid(logits), root * target)
        total = (weights.sum() * logits.shape[1]).clamp(min=1e-6)
        focal = (weights * self.focal(logits, target)).sum() / total
        return dice + self.focal_weight * focal


def gather_batch(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Join the batches of all processes to one, in each of them.

    A Dice over the batch is not a mean over its parts, so the processes' own losses would not add
    up to that of one process with the whole batch.

    Params:
        logits, labels, weights: those of this process, as HeatmapLoss takes them, of the same
            shapes on all processes; gradients flow to these logits alone.

    Returns:
        logits, labels and weights of all processes, in their order; with a single process the
        same ones. weights are None only where no process has any.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return logits, labels, weights
    parts = _gather(logits.detach())
    parts[dist.get_rank()] = logits
    if logits.requires_grad:  # DistributedDataParallel is going to take the mean of the gradients
        logits.register_hook(lambda gradient: gradient * dist.get_world_size())
    any_weights = torch.tensor(int(weights is not None), device=logits.device)
    dist.all_reduce(any_weights, dist.ReduceOp.MAX)
    if any_weights and weights is None:
        weights = torch.full_like(labels[:, :1], 255)
    return (
        torch.cat(parts),
        torch.cat(_gather(labels)),
        torch.cat(_gather(weights)) if any_weights else None,
    )


def _gather(tensor: torch.Tensor) -> list[torch.Tensor]:
    """The tensors of all processes, in their order."""
    tensor = tensor.contiguous()
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    return parts
