"""What this course has rebuilt of `torch.optim`, under PyTorch's names: only re-exports.

`from lesson_nb import optim` where a program has `from torch import optim`. The base (Optimizer) is torch's own object, so that every optimizer
here drops into any PyTorch program, its schedulers included; ours, proven equal to it, is in `lesson_nb.optimizers`. LAMB, which torch lacks, and
the two functions that clip gradients are here too.
"""
from torch.optim import Optimizer, lr_scheduler

from .adaptive import LAMB, NAdam, RAdam, RMSprop, Adagrad, Adam, AdamW, Muon
from .optimizers import clip_grad_norm_, clip_grad_value_
from .stepping import SGD

__all__ = ["Adagrad", "Adam", "AdamW", "LAMB", "Muon", "NAdam", "Optimizer", "RAdam", "RMSprop", "SGD", "clip_grad_norm_", "clip_grad_value_", "lr_scheduler"]


def __getattr__(name):
    "Called for a name that is not here: say where PyTorch has it, or which name is near."
    import difflib, torch
    if name.startswith("__"): raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    near = difflib.get_close_matches(name, __all__, 1)
    mend = (f"it is not rebuilt in this course; use torch.optim.{name}" if hasattr(torch.optim, name)
            else f"did you mean {near[0]!r}?" if near else f"nor has torch.optim; it offers {', '.join(__all__)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}: {mend}", obj=None)   # else Python would add a guess of its own
