"""What runs the network: PyTorch, on a GPU or a CPU, or ONNX Runtime on a CPU.

Both take a batch of images, (B, H, W, 3) uint8 RGB with H and W multiples of STRIDE, and return
its maps, (B, 2, H, W) uint8, 0..255 for 0..1, character then affinity.
"""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError

STRIDE = 32  # px, the sides of the network's input are multiples of it: its last stage's stride
DEVICES = ("auto", "cpu", "cuda")
RUNTIMES = ("auto", "torch", "onnx")
ONNX_FILE = "model.onnx"  # beside the weights; network/onnx_export.py writes it
WEIGHTS_FILE = "model.safetensors"
FINGERPRINT = "weights_sha256"  # the metadata in ONNX_FILE that says which weights it holds


class TorchRuntime:
    """A model that train.py saved, on a device of PyTorch's.

    bf16: whether the network runs in bfloat16, by default where that is fast.
    """

    def __init__(self, model_dir: str | Path, device: str = "auto"):
        """device: one of DEVICES; "auto" is the GPU where there is one. Raises DataError."""
        import torch

        from textdet.network.segformer import Normalise, has_fast_bf16, load_trained

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.bf16 = has_fast_bf16(self.device)
        self.model = load_trained(model_dir).to(self.device)
        self.normalise = Normalise().to(self.device)

    def __str__(self) -> str:
        return f"PyTorch on {self.device}, {'bfloat16' if self.bf16 else 'float32'}"

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """See the top of this module. Raises DataError when the memory is too small."""
        import torch

        from textdet.network.segformer import to_maps

        kind = self.device.type
        try:
            pixels = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self.bf16):
                logits = self.model(pixel_values=self.normalise(pixels)).logits
                return to_maps(logits, batch.shape[1:3]).cpu().numpy()
        except RuntimeError as error:  # torch.OutOfMemoryError is one, the CPU's has no own kind
            if not (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)):
                raise
            raise _too_large(batch) from None


class OnnxRuntime:
    """The model.onnx of a model folder, on the CPU; PyTorch is not even imported."""

    device = "cpu"

    def __init__(self, model_dir: str | Path):
        """Raises DataError when there is no sound model.onnx or no ONNX Runtime."""
        path = Path(model_dir) / ONNX_FILE
        if not path.is_file():
            raise DataError(f"{path}: no such file; detect.py --export_onnx writes it")
        try:
            import onnxruntime
        except ImportError:
            raise DataError("ONNX Runtime is missing: pip install onnxruntime") from None
        options = onnxruntime.SessionOptions()
        # Threads that wait by spinning win nothing here, and take time from other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        threads = os.environ.get("OMP_NUM_THREADS", "")  # PyTorch obeys it as well
        options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
        options.log_severity_level = 3  # errors only
        try:
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # kinds of the library's own
            raise DataError(f"{path}: cannot be loaded ({error})") from None

    def __str__(self) -> str:
        return "ONNX Runtime on cpu"

    def fits(self, model_dir: str | Path) -> bool:
        """Whether it was exported from the weights that lie beside it now."""
        metadata = self.session.get_modelmeta().custom_metadata_map
        return metadata.get(FINGERPRINT) == weights_fingerprint(model_dir)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """See the top of this module. Raises DataError when the memory is too small."""
        try:
            return self.session.run(None, {"image": batch})[0]
        except Exception as error:  # kinds of the library's own
            if "allocate memory" not in str(error):
                raise
            raise _too_large(batch) from None


def open_runtime(model_dir: str | Path, device: str = "auto", runtime: str = "auto"):
    """TorchRuntime or OnnxRuntime.

    device: one of DEVICES; "auto" is the GPU where there is one. runtime: one of RUNTIMES; "auto"
    is ONNX Runtime on a CPU when the model has a model.onnx made from its present weights. Raises
    DataError for what is not there.
    """
    if runtime == "onnx":
        if device == "cuda":
            raise DataError("--runtime onnx runs on the CPU; use --runtime torch for the GPU")
        network = OnnxRuntime(model_dir)
        if not network.fits(model_dir):
            raise DataError(f"{_stale(model_dir)}; detect.py --export_onnx makes it anew")
        return network
    if device != "cpu":
        import torch

        if torch.cuda.is_available():
            return TorchRuntime(model_dir, "cuda")
        if device == "cuda":
            raise DataError("--device cuda: PyTorch finds no usable GPU here; use --device cpu")
    if runtime == "auto" and (Path(model_dir) / ONNX_FILE).is_file():
        try:
            network = OnnxRuntime(model_dir)
            if network.fits(model_dir):
                return network
            reason = _stale(model_dir)
        except DataError as error:
            reason = str(error)
        print(f"{reason}: going on with PyTorch, which is slower", file=sys.stderr)
    return TorchRuntime(model_dir, "cpu")


def weights_fingerprint(model_dir: str | Path) -> str | None:
    """SHA-256 of a model folder's weights; None when there are none in it."""
    path = Path(model_dir) / WEIGHTS_FILE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _stale(model_dir: str | Path) -> str:
    return f"{Path(model_dir) / ONNX_FILE}: was exported from other weights than {WEIGHTS_FILE}"


def _too_large(batch: np.ndarray) -> DataError:
    number, height, width, _ = batch.shape
    return DataError(
        f"the memory is too small for {number} x {width}x{height} px; "
        "use a smaller --long_side or --batch_size"
    )
