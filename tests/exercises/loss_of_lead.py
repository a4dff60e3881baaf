"Planted mistakes for the exercise loss_of_lead: each must get the hint of its own key."
import math

MISTAKES = {
    "share": lambda lead, classes: 1 / (1 + (classes - 1) * math.exp(min(-lead, 700))),
    "sign": lambda lead, classes: -math.log1p((classes - 1) * math.exp(min(-lead, 700))),
    "one-too-many": lambda lead, classes: math.log1p(classes * math.exp(min(-lead, 700))),
    "overflow": lambda lead, classes: math.log1p((classes - 1) * math.exp(min(-lead, 700))),
}
