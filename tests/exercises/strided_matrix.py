"Planted mistakes for the exercise strided_matrix: each must get the hint of its own key."
import torch

def rows(kernel, length, stride, places):
    "Rows by rolling one sheet, so that a kernel that stands out comes in again at the front."
    sheet = torch.cat([kernel, torch.zeros(length - len(kernel))])
    return torch.stack([sheet.roll(place * stride) for place in range(places)])


MISTAKES = {
    "transposed": lambda kernel, length, stride: rows(kernel, length, stride, (length - len(kernel)) // stride + 1).T,
    "stride-one": lambda kernel, length, stride: rows(kernel, length, 1, length - len(kernel) + 1),
    "every-second-row": lambda kernel, length, stride: rows(kernel, length, 1, (length - len(kernel)) // stride + 1),
    "wraps": lambda kernel, length, stride: rows(kernel, length, stride, -(-length // stride)),
}
