def outputs(weight, bias, x): return (x[:, None] * weight).sum(2) + bias
def std_of(y): return (y - y.mean(0)).square().mean(0).sqrt()


def one_for_all(weight, bias, x):
    y = outputs(weight, bias, x)
    std = (y**2).mean().sub(y.mean() ** 2).sqrt()
    return weight / std, (bias - y.mean()) / std


def bias_not_scaled(weight, bias, x):
    y = outputs(weight, bias, x)
    std = std_of(y)
    return weight / std.where(std > 1e-5, 1)[:, None], bias - y.mean(0)


def divided_by_zero(weight, bias, x):
    y = outputs(weight, bias, x)
    std = std_of(y)
    return weight / std[:, None], (bias - y.mean(0)) / std


MISTAKES = {"one-for-all": one_for_all, "bias-not-scaled": bias_not_scaled, "divided-by-zero": divided_by_zero}
