"""What this course has rebuilt of `torch.nn.functional`, under PyTorch's names: only re-exports.

`import lesson_nb.functional as F` where a program has `import torch.nn.functional as F`.
"""
from torch import tanh  # elementwise: taken from PyTorch as it is, in the course from its first lesson

from .backprop import linear, mse_loss, relu
from .convolution import conv1d, conv2d, pad
from .layernorm import group_norm, instance_norm, layer_norm, rms_norm
from .layers import embedding, gelu, leaky_relu, silu
from .losses import cross_entropy, log_softmax, nll_loss, softmax
from .normalization import batch_norm
from .pooling import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d
from .regression import binary_cross_entropy, binary_cross_entropy_with_logits, l1_loss, logsigmoid, sigmoid
from .regularization import dropout, dropout2d
from .warping import affine_grid, grid_sample

__all__ = ["adaptive_avg_pool2d", "adaptive_max_pool2d", "affine_grid", "avg_pool2d", "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits",
           "conv1d", "conv2d", "cross_entropy", "dropout", "dropout2d", "embedding", "gelu", "grid_sample", "group_norm", "instance_norm", "l1_loss", "layer_norm",
           "leaky_relu", "linear", "log_softmax", "logsigmoid", "max_pool2d", "mse_loss", "nll_loss", "pad", "relu", "rms_norm", "sigmoid", "silu",
           "softmax", "tanh"]


def __getattr__(name):
    "Called for a name that is not here: say where PyTorch has it, or which name is near."
    import difflib, torch
    if name.startswith("__"): raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    near = difflib.get_close_matches(name, __all__, 1)
    mend = (f"it is not rebuilt in this course; use torch.nn.functional.{name}" if hasattr(torch.nn.functional, name)
            else f"did you mean {near[0]!r}?" if near else f"nor has torch.nn.functional; it offers {', '.join(__all__)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}: {mend}", obj=None)   # else Python would add a guess of its own
