def mirrored(boxes, flipped, left, right):
    new = boxes.clone()
    new[:, 0], new[:, 2] = left, right
    return new.where(flipped[:, None], boxes)


MISTAKES = {"edges-crossed": lambda boxes, flipped, width: mirrored(boxes, flipped, width - boxes[:, 0], width - boxes[:, 2]),
            "off-by-one": lambda boxes, flipped, width: mirrored(boxes, flipped, width - 1 - boxes[:, 2], width - 1 - boxes[:, 0]),
            "all-flipped": lambda boxes, flipped, width: mirrored(boxes, flipped | True, width - boxes[:, 2], width - boxes[:, 0])}
