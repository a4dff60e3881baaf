def work(body, head, photos, epochs): return (body + 3 * head) * photos * epochs, (body + 3 * head * epochs) * photos


MISTAKES = {"body-backward": lambda b, h, n, e: (3 * (b + h) * n * e, work(b, h, n, e)[1]), "head-forward": lambda b, h, n, e: ((b + h) * n * e, (b + h * e) * n),
            "once-each-epoch": lambda b, h, n, e: (work(b, h, n, e)[0], work(b, h, n, e)[0]), "other-order": lambda b, h, n, e: (work(b, h, n, e)[1], work(b, h, n, e)[0])}
