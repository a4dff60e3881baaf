import math

MISTAKES = {"pytorchs": lambda inputs: 1 / math.sqrt(inputs), "squared": lambda inputs: 3.0 / inputs, "wrong-way": lambda inputs: inputs**-0.5 / math.sqrt(3),
            "width": lambda inputs: math.sqrt(12) / math.sqrt(inputs)}
