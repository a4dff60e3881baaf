import math


def per_rate(rates, losses):
    slopes = [(losses[i + 1] - losses[i - 1]) / (rates[i + 1] - rates[i - 1]) for i in range(1, len(rates) - 1)]
    return rates[1 + slopes.index(min(slopes))]


def rises(rates, losses):
    slopes = [(losses[i + 1] - losses[i - 1]) / math.log(rates[i + 1] / rates[i - 1]) for i in range(1, len(rates) - 1)]
    return rates[1 + slopes.index(max(slopes))]


def per_step(rates, losses):
    falls = [losses[i + 1] - losses[i - 1] for i in range(1, len(rates) - 1)]
    return rates[1 + falls.index(min(falls))]


MISTAKES = {"per-rate": per_rate, "lowest": lambda rates, losses: min(zip(losses, rates))[1], "rises": rises, "per-step": per_step}
