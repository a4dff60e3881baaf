"Planted mistakes for the exercise sigmoid_backward: each must get the hint of its own key."


def squeezed_twice(flow, s):
    t = 1 / (1 + (-s).exp())
    return flow * t * (1 - t)

MISTAKES = {
    "input": squeezed_twice,
    "no-flow": lambda flow, s: s - s * s,
    "sign": lambda flow, s: flow * s * (s - 1),
    "half": lambda flow, s: s * flow,
}
