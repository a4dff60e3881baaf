import torch


def padded(picked, outputs, in_front=False):
    zeros = torch.zeros(picked.shape[0], outputs - picked.shape[1], picked.shape[2], picked.shape[3])
    return torch.cat([zeros, picked] if in_front else [picked, zeros], dim=1)


MISTAKES = {"in-front": lambda x, outputs: padded(x[:, :, ::2, ::2], outputs, True), "other-pixel": lambda x, outputs: padded(x[:, :, 1::2, 1::2], outputs),
            "pooled": lambda x, outputs: padded(torch.nn.AvgPool2d(2, ceil_mode=True)(x), outputs),
            "one-direction": lambda x, outputs: padded(x[:, :, ::2], outputs), "not-thinned": lambda x, outputs: padded(x, outputs)}
