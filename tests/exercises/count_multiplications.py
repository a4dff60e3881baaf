"Planted mistakes for the exercise count_multiplications: each must get the hint of its own key."


def forward(batch, sizes): return sum(batch * sizes[i] * sizes[i + 1] for i in range(len(sizes) - 1))

MISTAKES = {
    "forward-only": forward,
    "pictures": lambda batch, sizes: 3 * forward(batch, sizes),
    "twice": lambda batch, sizes: 2 * forward(batch, sizes),
    "no-batch": lambda batch, sizes: 3 * forward(1, sizes) - sizes[0] * sizes[1],
    "decimal": lambda batch, sizes: float(3 * forward(batch, sizes) - batch * sizes[0] * sizes[1]),
}
