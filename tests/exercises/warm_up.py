MISTAKES = {"never-stops": lambda position, share: 1.0 if share == 0 else position / share,
            "division-by-zero": lambda position, share: min(1.0, position / share),
            "cools-down": lambda position, share: 1.0 if position >= share else (share - position) / share}
