"""`torch.nn.init`, rebuilt in lessons 12 and 12a, under PyTorch's names: only re-exports.

`from lesson_nb import init` where a program has `from torch.nn import init`. Beyond PyTorch's names it offers `fan_in_and_fan_out`,
`measured_gain` (the gain of any function) and `lsuv_init`.
"""
from .initialization import (calculate_gain, constant_, dirac_, eye_, fan_in_and_fan_out, kaiming_normal_, kaiming_uniform_, measured_gain, normal_,
                             ones_, uniform_, xavier_normal_, xavier_uniform_, zeros_)
from .starts import lsuv_init, orthogonal_, sparse_, trunc_normal_
from .initialization import fan_in_and_fan_out as _calculate_fan_in_and_fan_out  # private in PyTorch, and yet called by many programs

__all__ = ["calculate_gain", "constant_", "dirac_", "eye_", "fan_in_and_fan_out", "kaiming_normal_", "kaiming_uniform_", "lsuv_init", "measured_gain",
           "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_"]


def __getattr__(name):
    "Called for a name that is not here: the old ones without `_` are passed on with PyTorch's warning, for others say which is near."
    import difflib, warnings
    if name + "_" in __all__ and name not in ("ones", "zeros", "trunc_normal"):
        warnings.warn(f"`init.{name}` is now deprecated in favor of `init.{name}_`.", FutureWarning, stacklevel=2)
        return globals()[name + "_"]
    if name.startswith("__"): raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    near = difflib.get_close_matches(name, __all__, 1)
    mend = f"did you mean {near[0]!r}?" if near else f"nor has torch.nn.init; it offers {', '.join(__all__)}"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}: {mend}", obj=None)   # else Python would add a guess of its own
