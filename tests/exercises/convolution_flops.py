def parts(shape, weight, stride, padding):
    down, across = ((shape[i] + 2 * padding - weight[i]) // stride + 1 for i in (2, 3))
    return shape[0], weight[0], down * across, weight[1], weight[2] * weight[3]


def multiplications(*given):
    n, outputs, places, channels, kernel = parts(*given)
    return n * outputs * places * channels * kernel


def input_places(shape, weight, stride, padding): return 2 * shape[0] * weight[0] * shape[2] * shape[3] * weight[1] * weight[2] * weight[3]


def one_channel(*given):
    n, outputs, places, _, kernel = parts(*given)
    return 2 * n * outputs * places * kernel


def one_picture(*given):
    _, outputs, places, channels, kernel = parts(*given)
    return 2 * outputs * places * channels * kernel


MISTAKES = {"multiplications": multiplications, "input-places": input_places, "one-channel": one_channel, "one-picture": one_picture}
