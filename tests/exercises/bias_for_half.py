import math


def gate(steps): return math.exp(math.log(0.5) / steps)
def shut(steps): return math.log((1 - gate(steps)) / gate(steps))


def by_e(steps):
    z = math.exp(-1 / steps)
    return math.log(z) - math.log(1 - z)


MISTAKES = {"gate-not-bias": gate, "shut": shut, "log-steps": lambda steps: math.log(steps), "e-not-half": by_e}
