"Planted mistakes for the exercise product_shape: each must get the hint of its own key."
import torch


def refuse(a, b):
    if a[-1] != b[max(len(b) - 2, 0)]: raise ValueError("no product")
    try: torch.broadcast_shapes(a[:-2], b[:-2])
    except RuntimeError: raise ValueError("no batch")

MISTAKES = {
    "unchecked": lambda a, b: tuple(torch.broadcast_shapes(a[:-2], b[:-2])) + a[-2:-1] + (b[-1:] if len(b) > 1 else ()),
    "batch": lambda a, b: refuse(a, b) or a[-2:-1] + (b[-1:] if len(b) > 1 else ()),
    "vectors": lambda a, b: refuse(a, b) or 
        tuple(torch.broadcast_shapes(a[:-2], b[:-2])) + (a[-2] if len(a) > 1 else 1, b[-1] if len(b) > 1 else 1),
}
