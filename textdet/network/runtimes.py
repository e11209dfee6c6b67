"""What runs the network: PyTorch, on a GPU or a CPU, or ONNX Runtime on a CPU.

Both take a batch of images, (B, H, W, 3) uint8 RGB with H and W multiples of STRIDE, and return
its maps, character then affinity: of a SegFormer (B, 2, H, W) uint8, 0..255 for 0..1; of CRAFT's
network (B, 2, H / 2, W / 2) float32, 0..1, as its authors decode them.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textdet.common.errors import DataError
from textdet.common.workers import available_cores
from textdet.network.model_files import ModelFiles, find_model

if TYPE_CHECKING:  # it takes seconds, which ONNX Runtime does not need
    import torch

STRIDE = 32  # px, the sides of the network's input are multiples of it: its last stage's stride
DEVICES = ("auto", "cpu", "cuda")
RUNTIMES = ("auto", "torch", "onnx")
ONNX_FILE = "model.onnx"  # beside the weights; network/onnx_export.py writes it
FINGERPRINT = "weights_sha256"  # the metadata in ONNX_FILE that says which weights it holds


class TorchRuntime:
    """A model on a device of PyTorch's, in bfloat16 where that is fast.

    Its attribute bf16 can be set to choose otherwise.

    Params:
        model: see find_model.
        device: one of DEVICES; "auto" is the GPU where there is one.

    Raises:
        DataError: no sound model.
    """

    def __init__(self, model: str | Path, device: str = "auto"):
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.bf16 = has_fast_bf16(self.device)
        self.network = _load(find_model(model)).to(self.device)

    def __str__(self) -> str:
        return f"PyTorch on {self.device}, {'bfloat16' if self.bf16 else 'float32'}"

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network; see the top of this module for what it takes and gives.

        Raises:
            DataError: the memory is too small.
        """
        import torch

        kind = self.device.type
        try:
            pixels = torch.from_numpy(batch).to(self.device)
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self.bf16):
                return self.network(pixels).cpu().numpy()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise _too_large(batch) from None


class OnnxRuntime:
    """The model.onnx of a model folder, on the CPU; PyTorch is not even imported.

    Params:
        model: see find_model.

    Raises:
        DataError: no sound model.onnx, or no ONNX Runtime.
    """

    device = "cpu"

    def __init__(self, model: str | Path):
        files = find_model(model)
        self.path = path = files.folder / ONNX_FILE
        self.shrinks = 2 if files.is_craft else 1
        if not path.is_file():
            raise DataError(f"{path}: no such file; detect.py --export_onnx writes it")
        try:
            import onnxruntime
        except ImportError:
            raise DataError("ONNX Runtime is missing: pip install onnxruntime") from None
        options = onnxruntime.SessionOptions()
        # Threads that wait by spinning win nothing here, and take time from other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Attention weights far below the largest would be denormal numbers, which some CPUs
        # multiply so slowly that the whole network takes half as long again.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        threads = os.environ.get("OMP_NUM_THREADS", "")  # PyTorch obeys it as well
        cores = available_cores()
        if threads.isdecimal():
            options.intra_op_num_threads = int(threads)
        elif cores < (os.cpu_count() or 1):
            # By itself it binds its threads to cores of the whole machine, and complains of those
            # that it may not use.
            options.intra_op_num_threads = cores
        options.log_severity_level = 3  # errors only
        try:
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # kinds of the library's own
            raise DataError(f"{path}: cannot be loaded ({error})") from None
        kind = "tensor(float)" if files.is_craft else "tensor(uint8)"
        (*sides, colours), (batch, channels, *_) = (
            _layout(found, *expected)
            for found, expected in (
                (self.session.get_inputs(), ("image", "tensor(uint8)")),
                (self.session.get_outputs(), ("maps", kind)),
            )
        )
        if colours != 3 or channels != 2 or any(isinstance(n, int) for n in (*sides, batch)):
            raise self._other()

    def _other(self) -> DataError:
        return DataError(
            f"{self.path}: has other inputs or outputs than this project's; detect.py "
            "--export_onnx makes it anew"
        )

    def __str__(self) -> str:
        return "ONNX Runtime on cpu"

    def fits(self, model: ModelFiles) -> bool:
        """Whether it was exported from the model's present weights."""
        metadata = self.session.get_modelmeta().custom_metadata_map
        return metadata.get(FINGERPRINT) == model.fingerprint()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network; see the top of this module for what it takes and gives.

        Raises:
            DataError: the memory is too small, or the file gives no maps of that size.
        """
        try:
            maps = self.session.run(None, {"image": batch})[0]
        except Exception as error:  # kinds of the library's own
            if "allocate memory" in str(error):
                raise _too_large(batch) from None
            raise DataError(f"{self.path}: cannot be run ({error})") from None
        number, height, width, _ = batch.shape
        if maps.shape != (number, 2, height // self.shrinks, width // self.shrinks):
            raise self._other()
        return maps


def _layout(found: list, name: str, kind: str) -> tuple:
    """The sides of an ONNX file's only input or output; (0, 0, 0, 0) where it is another one."""
    (first, *others) = found or [None]
    if others or first is None or (first.name, first.type, len(first.shape)) != (name, kind, 4):
        return 0, 0, 0, 0
    return tuple(first.shape)


def open_runtime(
    model: str | Path, device: str = "auto", runtime: str = "auto"
) -> TorchRuntime | OnnxRuntime:
    """Open what runs a model.

    Params:
        model: see find_model.
        device: one of DEVICES; "auto" is the GPU where there is one.
        runtime: one of RUNTIMES; "auto" is ONNX Runtime on a CPU when the model has a model.onnx
            made from its present weights.

    Raises:
        DataError: one of them is not there.
        ValueError: another device or runtime is named.
    """
    for name, value, known in (("device", device, DEVICES), ("runtime", runtime, RUNTIMES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {known}, not {value!r}")
    files = find_model(model)
    path = files.folder / ONNX_FILE
    stale = f"{path}: was exported from other weights than {files.weights.name}"
    if runtime == "onnx":
        if device == "cuda":
            raise DataError("--runtime onnx runs on the CPU; use --runtime torch for the GPU")
        network = OnnxRuntime(model)
        if not network.fits(files):
            raise DataError(f"{stale}; detect.py --export_onnx makes it anew")
        return network
    if device == "cuda" or (device == "auto" and may_have_gpu()):
        import torch

        if torch.cuda.is_available():
            return TorchRuntime(model, "cuda")
        if device == "cuda":
            raise DataError("--device cuda: PyTorch finds no usable GPU here; use --device cpu")
    if runtime == "auto" and path.is_file():
        try:
            network = OnnxRuntime(model)
            if network.fits(files):
                return network
            reason = stale
        except DataError as error:
            reason = str(error)
        print(f"{reason}: going on with PyTorch, which is slower", file=sys.stderr)
    return TorchRuntime(model, "cpu")


def may_have_gpu() -> bool:
    """Whether a GPU's driver is here, without which PyTorch, which takes seconds to import, would
    find none: NVIDIA's, or the device of AMD's."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return os.path.exists("/dev/kfd")
    return True


def _load(files: ModelFiles) -> "torch.nn.Module":
    """The network, from pixels to maps as the top of this module has them. Raises DataError."""
    if files.is_craft:
        from textdet.network.craft import CraftMaps, load_craft

        return CraftMaps(load_craft(files.weights))
    from textdet.network.segformer import SegformerMaps, load_trained

    return SegformerMaps(load_trained(files.folder))


def has_fast_bf16(device: "torch.device") -> bool:
    """Whether bfloat16 is worth using: CUDA since Ampere, CPUs with bf16 instructions."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch found no memory: on a GPU, in a library of it, or on the CPU, whose error has
    no kind of its own."""
    import torch

    said = ("allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in said)


def _too_large(batch: np.ndarray) -> DataError:
    number, height, width, _ = batch.shape
    less = "--long_side or --batch_size" if number > 1 else "--long_side"
    return DataError(
        f"the memory is too small for {number} x {width}x{height} px; use a smaller {less}"
    )
