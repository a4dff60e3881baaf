def fans(shape, into, out):
    outputs, inputs, height, width = shape
    return inputs * height * width // into, outputs * height * width / out


MISTAKES = {"by-the-shape": lambda shape, stride, groups: fans(shape, 1, 1),
            "stride-once": lambda shape, stride, groups: fans(shape, 1, groups * stride),
            "groups-forgotten": lambda shape, stride, groups: fans(shape, 1, stride * stride),
            "stride-forgotten": lambda shape, stride, groups: fans(shape, 1, groups),
            "groups-twice": lambda shape, stride, groups: fans(shape, groups, groups * stride**2)}
