def columns(x, shares): return shares.view(len(shares), *(1 for _ in x.shape[1:]))


MISTAKES = {"swapped": lambda x, order, shares: x[order] * columns(x, shares) + x * (1 - columns(x, shares)), "last-axis": lambda x, order, shares: x * shares + x[order] * (1 - shares),
            "partners-share": lambda x, order, shares: x * columns(x, shares) + x[order] * (1 - columns(x, shares[order]))}
