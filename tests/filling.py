"""What the tests of initializers share: dtypes, memory layouts, and ours beside torch's under one seed."""
import torch
from torch import nn

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
RECENT = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 13)  # before, PyTorch drew truncated normals by another method
LAYOUTS = {"plain": lambda *s, dtype: torch.full(s, 7, dtype=dtype), "transposed": lambda *s, dtype: torch.full(s, 7, dtype=dtype).mT.contiguous().mT,
           "every second": lambda *s, dtype: torch.full((*s, 2), 7, dtype=dtype)[..., 0], "parameter": lambda *s, dtype: nn.Parameter(torch.full(s, 7, dtype=dtype))}


def both(name, make, kwargs, places):
    "What ours and torch's make of a tensor under one seed, and their next random number."
    found = []
    for place in places:
        tensor = make()
        torch.manual_seed(5)
        result = getattr(place, name)(tensor, **kwargs)
        assert result is tensor and result.grad is None
        found.append((result.detach(), torch.rand(1)))
    return found
