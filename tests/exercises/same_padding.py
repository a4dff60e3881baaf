"Planted mistakes for the exercise same_padding: each must get the hint of its own key."
import math

MISTAKES = {
    "no-dilation": lambda kernel_size, dilation: ((kernel_size - 1) // 2, kernel_size - 1 - (kernel_size - 1) // 2),
    "odd-before": lambda kernel_size, dilation: (math.ceil(dilation * (kernel_size - 1) / 2), dilation * (kernel_size - 1) // 2),
    "half": lambda kernel_size, dilation: (kernel_size // 2 * dilation, kernel_size // 2 * dilation),
    "one-number": lambda kernel_size, dilation: dilation * (kernel_size - 1) // 2,
}
