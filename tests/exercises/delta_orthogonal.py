import torch


def placed(matrix, size, row):
    mask = torch.zeros(size, size)
    mask[row, row] = 1
    return matrix[:, :, None, None] * mask


MISTAKES = {"corner": lambda matrix, size: placed(matrix, size, 0), "transposed": lambda matrix, size: placed(matrix.T, size, size // 2),
            "everywhere": lambda matrix, size: matrix[:, :, None, None] * torch.ones(size, size), "before-the-middle": lambda matrix, size: placed(matrix, size, (size - 1) // 2)}
