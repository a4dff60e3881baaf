"Planted mistakes for the exercise floor_after_softmax: each must get the hint of its own key."
import math

MISTAKES = {
    "zero": lambda classes: 0.0,
    "knows-nothing": lambda classes: math.log(classes),
    "one-too-many": lambda classes: math.log(math.e + classes) - 1,
}
