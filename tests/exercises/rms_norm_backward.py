def size(x): return (x * x).mean(1, keepdim=True) ** 0.5


def centred(x, flow):
    ready = x / size(x)
    return (flow - flow.mean(1, keepdim=True) - ready * (flow * ready).mean(1, keepdim=True)) / size(x)


def constant(x, flow): return flow / size(x)


def summed(x, flow):
    ready = x / size(x)
    return (flow - ready * (flow * ready).sum(1, keepdim=True)) / size(x)


def one_for_all(x, flow):
    whole = (x * x).mean() ** 0.5
    return (flow - x * (flow * x).mean(1, keepdim=True) / whole**2) / whole


MISTAKES = {"centred": centred, "factor-constant": constant, "sum-for-mean": summed, "one-for-all": one_for_all}
