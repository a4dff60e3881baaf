import torch


def inverse_of(theta):
    (a, b), (c, d) = theta[:, 0, :2].T, theta[:, 1, :2].T
    return torch.stack([d, -b, -c, a], -1).view(-1, 2, 2) / (a * d - b * c)[:, None, None]


def only_for_turns(theta):
    turned = theta[:, :, :2].mT
    return torch.cat([turned, -turned @ theta[:, :, 2:]], 2)


MISTAKES = {"move-only-negated": lambda theta: torch.cat([inverse_of(theta), -theta[:, :, 2:]], 2), "move-kept": lambda theta: torch.cat([inverse_of(theta), theta[:, :, 2:]], 2),
            "only-for-turns": only_for_turns}
