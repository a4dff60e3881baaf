def mixed(x, other, top, left, size):
    "The pictures, and how many pixels of each were replaced."
    x, (height, width) = x.clone(), x.shape[2:]
    rows, columns = slice(max(top, 0), max(top + size, 0)), slice(max(left, 0), max(left + size, 0))
    x[:, :, rows, columns] = other[:, :, rows, columns]
    return x, len(range(height)[rows]) * len(range(width)[columns])


def not_clipped(x, order, top, left, size): return mixed(x, x[order], top, left, size)[0], 1 - size * size / (x.shape[2] * x.shape[3])


def the_others(x, order, top, left, size):
    new, count = mixed(x, x[order], top, left, size)
    return new, count / (x.shape[2] * x.shape[3])


def black(x, order, top, left, size):
    new, count = mixed(x, 0 * x, top, left, size)
    return new, 1 - count / (x.shape[2] * x.shape[3])


MISTAKES = {"not-clipped": not_clipped, "the-others-share": the_others, "black-patch": black}
