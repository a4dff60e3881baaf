import torch


def matrix(sx, x, sy, y): return torch.tensor([[[sx, 0.0, x], [0.0, sy, y]]])


def centres(top, left, rows, columns, height, width):
    return matrix((columns - 1) / (width - 1), (2 * left + columns - 1) / (width - 1) - 1, (rows - 1) / (height - 1), (2 * top + rows - 1) / (height - 1) - 1)


MISTAKES = {"corner-for-middle": lambda top, left, rows, columns, height, width: matrix(columns / width, 2 * left / width - 1, rows / height, 2 * top / height - 1),
            "crossed": lambda top, left, rows, columns, height, width: matrix(rows / height, (2 * top + rows) / height - 1, columns / width, (2 * left + columns) / width - 1),
            "centres": centres}
