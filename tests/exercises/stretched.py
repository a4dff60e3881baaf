import torch


def length(t): return torch.sqrt((t * t).sum())


def upside_down(param, update): return update / length(param) * length(update) if length(param) * length(update) > 0 else update


def zero_stays(param, update): return update / length(update) * length(param) if length(update) > 0 else update


def careless(param, update): return update if length(param) == 0 else update / length(update) * length(param)


def unit(param, update): return update / length(update) if length(param) * length(update) > 0 else update


def squares(param, update): return update * ((param * param).sum() / (update * update).sum()) if length(param) * length(update) > 0 else update


MISTAKES = {"wrong-way": upside_down, "nothing-moves": zero_stays, "not-a-number": careless, "unit-length": unit, "squares": squares}
