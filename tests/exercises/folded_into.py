def bias_forgotten(weight, bias, mean, variance, scale, shift, eps):
    std = (variance + eps) ** 0.5
    return weight * (scale / std).view(-1, 1, 1, 1), shift - mean * scale / std


def bias_not_scaled(weight, bias, mean, variance, scale, shift, eps):
    return weight * (scale / (variance + eps) ** 0.5).view(-1, 1, 1, 1), bias - mean + shift


def eps_outside(weight, bias, mean, variance, scale, shift, eps):
    factor = scale / (variance**0.5 + eps)
    return (weight.flatten(1) * factor[:, None]).view_as(weight), factor * bias - factor * mean + shift


def variance_itself(weight, bias, mean, variance, scale, shift, eps):
    factor = scale / (variance + eps)
    return (weight.flatten(1) * factor[:, None]).view_as(weight), factor * bias - factor * mean + shift


MISTAKES = {"bias-forgotten": bias_forgotten, "bias-not-scaled": bias_not_scaled, "eps-outside": eps_outside, "std-for-variance": variance_itself}
