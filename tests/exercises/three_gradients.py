"Planted mistakes for the exercise three_gradients: each must get the hint of its own key."

MISTAKES = {
    "square": lambda a, b, c: (b * c, a * c + c, a * b + b),
    "once": lambda a, b, c: (b * c, a * c + 2 * b, b * (a + 1)),
    "overwritten": lambda a, b, c: (b * c, b + b, a * b + b),
    "values": lambda a, b, c: (a, b, c),
}
