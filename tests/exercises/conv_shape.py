"Planted mistakes for the exercise conv_shape: each must get the hint of its own key."
import math

def sizes(i, w, count): return tuple(count(a, k) for a, k in zip(i[2:], w[2:]))


MISTAKES = {
    "one-sided": lambda i, w, s, p: (i[0], w[0]) + sizes(i, w, lambda a, k: (a + p - k) // s + 1),
    "no-start": lambda i, w, s, p: (i[0], w[0]) + sizes(i, w, lambda a, k: (a + 2 * p - k) // s),
    "same-channels": lambda i, w, s, p: i[:2] + sizes(i, w, lambda a, k: (a + 2 * p - k) // s + 1),
    "rounded-up": lambda i, w, s, p: (i[0], w[0]) + sizes(i, w, lambda a, k: math.ceil((a + 2 * p - k) / s) + 1),
}
