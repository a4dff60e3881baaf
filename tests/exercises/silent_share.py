MISTAKES = {"share-of-zeros": lambda x: 1 - (x > 0).float().mean(), "each-picture": lambda x: (x.flatten(2).amax(2) <= 0).float().mean(),
            "below-only": lambda x: (x.movedim(1, 0).flatten(1).amax(1) < 0).float().mean(), "awake": lambda x: (x > 0).any(3).any(2).any(0).float().mean(),
            "the-mean": lambda x: (x.movedim(1, 0).flatten(1).mean(1) <= 0).float().mean()}
