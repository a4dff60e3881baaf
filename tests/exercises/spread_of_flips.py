MISTAKES = {"variance": lambda n, p, each: n * p * (1 - p) if each else n * n * p * (1 - p), "always-each": lambda n, p, each: (n * p * (1 - p)) ** 0.5,
            "never-each": lambda n, p, each: n * (p * (1 - p)) ** 0.5}
