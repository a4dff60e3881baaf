import torch


def swapped(param, grad, average, lr, betas, weight_decay):
    direction = torch.sign(average.lerp(grad, 1 - betas[1]))
    return param * (1 - lr * weight_decay) - lr * direction, average.lerp(grad, 1 - betas[0])


def late(param, grad, average, lr, betas, weight_decay):
    average = average.lerp(grad, 1 - betas[1])
    direction = torch.sign(average.lerp(grad, 1 - betas[0]))
    return param * (1 - lr * weight_decay) - lr * direction, average


def smooth(param, grad, average, lr, betas, weight_decay):
    return param * (1 - lr * weight_decay) - lr * average.lerp(grad, 1 - betas[0]), average.lerp(grad, 1 - betas[1])


def coupled(param, grad, average, lr, betas, weight_decay):
    grad = grad + weight_decay * param
    return param - lr * torch.sign(average.lerp(grad, 1 - betas[0])), average.lerp(grad, 1 - betas[1])


def undecayed(param, grad, average, lr, betas, weight_decay):
    return param - lr * torch.sign(average.lerp(grad, 1 - betas[0])), average.lerp(grad, 1 - betas[1])


MISTAKES = {"betas-swapped": swapped, "new-average": late, "no-sign": smooth, "decay-in-gradient": coupled, "no-decay": undecayed}
