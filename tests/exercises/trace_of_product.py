"Planted mistakes for the exercise trace_of_product: each must get the hint of its own key."

MISTAKES = {
    "untransposed": lambda a, b: (a * b).sum(),
    "diagonals": lambda a, b: (a.diagonal() * b.diagonal()).sum(),
    "separate": lambda a, b: a.diagonal().sum() * b.diagonal().sum(),
    "wrong-shape": lambda a, b: (a * b.T).sum(1),
}
