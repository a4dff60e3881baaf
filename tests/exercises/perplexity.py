import math

MISTAKES = {"unweighted": lambda losses, counts: math.e**(sum(losses) / len(counts)),
            "mean-of-powers": lambda losses, counts: sum(count * math.exp(loss) for loss, count in zip(losses, counts)) / sum(counts),
            "base-two": lambda losses, counts: 2**(sum(a * b for a, b in zip(losses, counts)) / sum(counts)),
            "no-power": lambda losses, counts: sum(a * b for a, b in zip(losses, counts)) / sum(counts)}
