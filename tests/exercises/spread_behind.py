import math

MISTAKES = {"relu-forgotten": lambda inputs, std, layers: (math.sqrt(inputs) * std) ** layers,
            "mean-square": lambda inputs, std, layers: math.prod([inputs * std * std / 2] * layers),
            "std-for-variance": lambda inputs, std, layers: math.sqrt(inputs * std / 2) ** layers,
            "halved-spread": lambda inputs, std, layers: (math.sqrt(inputs) * std) ** layers / 2**layers}
