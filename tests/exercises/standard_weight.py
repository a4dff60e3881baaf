def scaled(weight, eps, axes, less=0):
    weight = weight - weight.mean(axes, keepdim=True)
    squares = (weight**2).sum(axes, keepdim=True)
    return weight / (squares / (weight.numel() / squares.numel() - less) + eps) ** 0.5


def over_outputs(weight, eps): return scaled(weight, eps, (0, 2, 3))
def each_channel(weight, eps): return scaled(weight, eps, (2, 3))
def all_together(weight, eps): return scaled(weight, eps, (0, 1, 2, 3))
def less_one(weight, eps): return scaled(weight, eps, (1, 2, 3), 1)


MISTAKES = {"over-outputs": over_outputs, "each-channel": each_channel, "all-together": all_together, "less-one": less_one}
