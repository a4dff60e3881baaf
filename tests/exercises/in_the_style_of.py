def moments(x, axes=(2, 3)):
    mean = x.mean(axes, keepdim=True)
    return mean, ((x - mean) ** 2).mean(axes, keepdim=True)


def restyled(content, eps, scale, shift, axes=(2, 3)):
    mean, variance = moments(content, axes)
    return (content - mean) / (variance + eps) ** 0.5 * scale + shift


def variance(content, style, eps): return restyled(content, eps, moments(style)[1], moments(style)[0])
def no_mean(content, style, eps): return restyled(content, eps, moments(style)[1] ** 0.5, 0)
def whole_batch(content, style, eps): return restyled(content, eps, moments(style)[1] ** 0.5, moments(style)[0], (0, 2, 3))


def whole_style(content, style, eps):
    mean, spread = moments(style, (1, 2, 3))
    return restyled(content, eps, spread**0.5, mean)


MISTAKES = {"variance-for-std": variance, "mean-forgotten": no_mean, "whole-batch": whole_batch, "whole-style": whole_style}
