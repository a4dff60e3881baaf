def states(weight, inputs):
    found = [0.0]
    for x in inputs: found.append(weight * found[-1] + x)
    return found


def two_steps(weight, inputs):
    h = states(weight, inputs)
    return h[-2] + (weight * h[-3] if len(h) > 2 else 0.0)


MISTAKES = {"one-step": lambda weight, inputs: states(weight, inputs)[-2], "not-passed-on": lambda weight, inputs: float(sum(states(weight, inputs)[:-1])),
            "truncated": two_steps, "the-state-itself": lambda weight, inputs: float(states(weight, inputs)[-1])}
