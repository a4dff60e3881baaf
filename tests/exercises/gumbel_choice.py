import torch


def exponential(scores, uniform, temperature): return (scores / temperature - torch.log(uniform)).argmax(1)
def upside_down(scores, uniform, temperature): return (scores / temperature + torch.log(-torch.log(uniform))).argmax(1)
def cooled(scores, uniform, temperature): return (scores - torch.log(-torch.log(uniform))).argmax(1)


def all_cooled(scores, uniform, temperature):
    noise = -torch.log(-torch.log(uniform))
    return ((scores + noise) / temperature).argmax(1)


MISTAKES = {"one-log": exponential, "sign": upside_down, "noise-cooled": all_cooled}
