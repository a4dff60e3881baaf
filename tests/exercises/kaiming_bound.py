import math


def gain(slope): return (2 / (1 + slope * slope)) ** 0.5


MISTAKES = {"std-for-bound": lambda fan, slope: gain(slope) / fan**0.5, "slope-ignored": lambda fan, slope: math.sqrt(3) * gain(0) / fan**0.5,
            "slope-not-squared": lambda fan, slope: (6 / fan / (1 + slope)) ** 0.5, "half-missing": lambda fan, slope: (3 / fan) ** 0.5 * gain(slope) / 2**0.5}
