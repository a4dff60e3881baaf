"Planted mistakes for the exercise batched_matmul: each must get the hint of its own key."

MISTAKES = {
    "all-pairs": lambda a, b: (a[:, None, :, :, None] * b[None, :, None]).sum(3),
    "wrong-axis": lambda a, b: (a[..., None] * b[:, None]).sum(1),
    "mixed-up": lambda a, b: (a[..., None] * b[:, None]).sum((0, 2)),
}
