"Planted mistakes for the exercise all_right: each must get the hint of its own key."
MISTAKES = {
    "half": lambda scores, target: ((scores > 0.5) == target.bool()).all(1).float().mean().item(),
    "single-answers": lambda scores, target: ((scores > 0) == target.bool()).float().mean().item(),
    "any": lambda scores, target: ((scores > 0) == target.bool()).any(1).float().mean().item(),
}
