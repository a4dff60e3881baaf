import torch


def divided(scores, written, penalty):
    result = scores.clone()
    result[written] = scores[written] / penalty
    return result


def again_and_again(scores, written, penalty):
    counts = torch.bincount(written, minlength=len(scores))
    return torch.where(scores > 0, scores / penalty**counts, scores * penalty**counts)


def everything(scores, written, penalty): return torch.where(scores > 0, scores / penalty, scores * penalty)


def unwritten(scores, written, penalty):
    result = everything(scores, written, penalty)
    result[written] = scores[written]
    return result


MISTAKES = {"negative-helped": divided, "every-time": again_and_again, "the-others": unwritten, "all-punished": everything}
