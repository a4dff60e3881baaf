import math


def smaller(loss): return math.log(2) * loss, math.e**loss
def powers_of_two(loss): return loss / math.log(2), math.exp(loss * math.log(2))
def swapped(loss): return math.e**loss, math.log2(math.e) * loss


MISTAKES = {"times-log-two": smaller, "two-to-the-nats": powers_of_two, "other-way-round": swapped}
