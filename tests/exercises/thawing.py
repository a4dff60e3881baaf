MISTAKES = {"from-the-front": lambda groups: [k for k in range(groups)], "nothing-learns": lambda groups: [groups - k for k in range(groups + 1)],
            "never-all": lambda groups: [k for k in reversed(range(1, groups))], "counts-learners": lambda groups: [k + 1 for k in range(groups)]}
