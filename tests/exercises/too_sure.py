import torch


def parts(scores, labels): return torch.softmax(scores, 1), (scores.argmax(1) == labels).float().mean()


def of_the_label(scores, labels):
    probabilities, hits = parts(scores, labels)
    return (probabilities.gather(1, labels[:, None]).mean() - hits).item()


def without_sign(scores, labels):
    probabilities, hits = parts(scores, labels)
    return (probabilities.amax(1).mean() - hits).abs().item()


def sign(scores, labels):
    probabilities, hits = parts(scores, labels)
    return (hits - probabilities.amax(1).mean()).item()


MISTAKES = {"sign": sign, "of-the-label": of_the_label, "of-scores": lambda scores, labels: (scores.max(1)[0].mean() - parts(scores, labels)[1]).item(), "without-sign": without_sign}
