def total(widths, classes, channels, norm=2, stem_bias=True, blocks=2, head_bias=True):
    count = channels * widths[0] * 25 + (widths[0] if stem_bias else 0)
    for inputs, outputs in zip(widths, widths[1:]):
        count += inputs * outputs * 9 + norm * outputs
        count += blocks * (outputs * outputs * 9 + norm * outputs)
    return count + widths[-1] * classes + (classes if head_bias else 0)


MISTAKES = {"norms-forgotten": lambda *given: total(*given, norm=0), "one-number-a-channel": lambda *given: total(*given, norm=1),
            "stem-bias": lambda *given: total(*given, stem_bias=False), "one-block": lambda *given: total(*given, blocks=1),
            "head-bias": lambda *given: total(*given, head_bias=False)}
