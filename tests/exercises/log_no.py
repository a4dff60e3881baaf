"Planted mistakes for the exercise log_no: each must get the hint of its own key."
import torch

MISTAKES = {
    "other-side": lambda x: x.clamp(max=0) - (1 + (-x.abs()).exp()).log(),
    "sign": lambda x: x.clamp(min=0) - torch.nn.functional.logsigmoid(x.abs()),
    "naive": lambda x: (1 - torch.sigmoid(x)).log(),
}
