"Planted mistakes for the exercise depthwise: each must get the hint of its own key."

def windows(pictures, kernels): return pictures.unfold(2, kernels.shape[1], 1).unfold(3, kernels.shape[2], 1)


MISTAKES = {
    "summed": lambda pictures, kernels: (windows(pictures, kernels) * kernels[:, None, None]).sum((1, 4, 5))[:, None],
    "every-pair": lambda pictures, kernels: (windows(pictures, kernels)[:, :, None] * kernels[:, None, None]).sum((5, 6)),
    "one-kernel": lambda pictures, kernels: (windows(pictures, kernels) * kernels[0]).sum((4, 5)),
}
