"""What this course has rebuilt of `torch.nn`, under PyTorch's names: only re-exports.

`from lesson_nb import nn` where a program has `from torch import nn`. The bases (Module, Parameter, Buffer) and the containers are torch's own
objects, so that every layer here drops into any PyTorch program; ours, proven equal to them, are in `lesson_nb.modules` and
`lesson_nb.containers`.
"""
from torch.nn import Buffer, Module, ModuleDict, ModuleList, Parameter, Sequential, utils

from . import functional, init
from .convolution import Conv1d, Conv2d
from .gated_rnn import GRU, GRUCell, LSTM, LSTMCell
from .layers import (BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, Embedding, Flatten, GELU, Identity, L1Loss, LeakyReLU, Linear, LogSigmoid,
                     LogSoftmax, MSELoss, NLLLoss, ReLU, Sigmoid, SiLU, Softmax, Tanh)
from .layernorm import GroupNorm, InstanceNorm1d, InstanceNorm2d, LayerNorm, RMSNorm
from .normalization import BatchNorm1d, BatchNorm2d
from .pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d
from .regularization import Dropout, Dropout2d
from .rnn import RNN, RNNCell

__all__ = ["AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "BCELoss", "BCEWithLogitsLoss", "Buffer",
           "Conv1d", "Conv2d", "CrossEntropyLoss", "Dropout", "Dropout2d", "Embedding", "Flatten", "functional", "GELU", "GroupNorm", "GRU",
           "GRUCell", "Identity", "init", "InstanceNorm1d", "InstanceNorm2d", "L1Loss", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid",
           "LogSoftmax", "LSTM", "LSTMCell", "MaxPool2d", "Module", "ModuleDict", "ModuleList", "MSELoss", "NLLLoss", "Parameter",
           "ReflectionPad2d", "ReLU", "ReplicationPad2d", "RMSNorm", "RNN", "RNNCell", "Sequential", "Sigmoid", "SiLU", "Softmax", "Tanh",
           "utils", "ZeroPad2d"]


def __getattr__(name):
    "Called for a name that is not here: say where PyTorch has it, or which name is near."
    import difflib, torch
    if name.startswith("__"): raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    near = difflib.get_close_matches(name, __all__, 1)
    mend = (f"it is not rebuilt in this course; use torch.nn.{name}" if hasattr(torch.nn, name)
            else f"did you mean {near[0]!r}?" if near else f"nor has torch.nn; it offers {', '.join(__all__)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}: {mend}", obj=None)   # else Python would add a guess of its own
