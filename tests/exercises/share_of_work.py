MISTAKES = {"by-the-side": lambda phases, full: sum(e * s / full for s, e in phases) / sum(e for s, e in phases),
            "epochs-forgotten": lambda phases, full: sum((s / full) ** 2 for s, e in phases) / len(phases),
            "not-a-share": lambda phases, full: sum(e * (s / full) ** 2 for s, e in phases)}
