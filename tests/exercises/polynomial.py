MISTAKES = {"position-powered": lambda start, end, power, position: start * (1 - position**power) + end * position**power,
            "backwards": lambda start, end, power, position: start - (start - end) * (1 - position) ** power,
            "to-zero": lambda start, end, power, position: start * (1 - position) ** power}
