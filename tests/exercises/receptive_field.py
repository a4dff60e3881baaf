def strides_forgotten(layers): return 1 + sum(kernel - 1 for kernel, _ in layers)


def own_stride_first(layers):
    side, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        side += (kernel - 1) * step
    return side


def wrong_end(layers):
    side = 1
    for kernel, stride in layers: side = side * stride + kernel - stride
    return side


MISTAKES = {"strides-forgotten": strides_forgotten, "own-stride-first": own_stride_first, "wrong-end": wrong_end}
