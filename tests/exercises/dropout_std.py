MISTAKES = {"variance": lambda x, weight, p: (x * x) @ (weight * weight).T * (p / (1 - p)), "squared-sum": lambda x, weight, p: ((x @ weight.T) ** 2 * p / (1 - p)) ** 0.5,
            "without-odds": lambda x, weight, p: ((x**2) @ (weight.T**2) * (p * (1 - p))) ** 0.5, "only-p": lambda x, weight, p: (p * (x**2) @ (weight.T**2)).sqrt()}
