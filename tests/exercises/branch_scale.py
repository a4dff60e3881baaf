import math

MISTAKES = {"added": lambda blocks, growth: ((growth - 1) / blocks) ** 0.5, "root-forgotten": lambda blocks, growth: math.exp(math.log(growth) / blocks) - 1,
            "spread-for-square": lambda blocks, growth: math.sqrt((growth * growth) ** (1 / blocks) - 1)}
