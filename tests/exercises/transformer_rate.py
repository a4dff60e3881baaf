import math

MISTAKES = {"larger": lambda step, width, warmup: max(1 / math.sqrt(step), step / warmup**1.5) / math.sqrt(width),
            "no-warm-up": lambda step, width, warmup: 1 / math.sqrt(step * width),
            "no-width": lambda step, width, warmup: min(1 / math.sqrt(step), step / warmup**1.5),
            "gap": lambda step, width, warmup: min(1 / math.sqrt(step), step / math.sqrt(warmup)) / math.sqrt(width)}
