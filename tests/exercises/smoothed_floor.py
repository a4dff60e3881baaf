import math


def floor(label, other, others): return -label * math.log(label) - others * other * math.log(other)


def label_left_out(classes, smoothing):
    rest = -(classes - 1) * smoothing / classes * math.log(smoothing / classes)
    return rest - (1 - smoothing) * math.log(1 - smoothing) if smoothing < 1 else rest


MISTAKES = {"label-left-out": label_left_out, "only-the-label": lambda classes, smoothing: -(1 - smoothing + smoothing / classes) * math.log(1 - smoothing + smoothing / classes),
            "one-other": lambda classes, smoothing: floor(1 - smoothing + smoothing / classes, smoothing / classes, 1),
            "sign": lambda classes, smoothing: -floor(1 - smoothing + smoothing / classes, smoothing / classes, classes - 1)}
