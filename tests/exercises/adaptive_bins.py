"Planted mistakes for the exercise adaptive_bins: each must get the hint of its own key."
import math

MISTAKES = {
    "gaps": lambda size, windows: [(int(i * size / windows), int((i + 1) * size / windows)) for i in range(windows)],
    "rest-lost": lambda size, windows: [(i * (size // windows), (i + 1) * (size // windows)) for i in range(windows)],
    "late-start": lambda size, windows: [(math.ceil(i * size / windows), math.ceil((i + 1) * size / windows)) for i in range(windows)],
}
