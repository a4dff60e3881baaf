def width(count): return min(600, round(1.6 * count**0.56))


def count(sizes, numbers, widths, norm=True, numbers_norm=True, bias=True, more=0):
    sizes = [size + more for size in sizes]
    total = sum(s * width(s) for s in sizes) + 2 * numbers * numbers_norm
    chain = [sum(map(width, sizes)) + numbers, *widths]
    for inputs, outputs in zip(chain, widths): total += outputs * (inputs + bias + 2 * norm)
    return total + chain[-1] + bias


MISTAKES = {"norms-forgotten": lambda *given: count(*given, norm=False), "norm-of-numbers": lambda *given: count(*given, numbers_norm=False),
            "no-biases": lambda *given: count(*given, bias=False), "a-row-too-many": lambda *given: count(*given, more=1)}
