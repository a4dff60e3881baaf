"Planted mistakes for the exercise calm_pool: each must get the hint of its own key."
import torch.nn.functional as F

MISTAKES = {
    "skipping": lambda features: F.max_pool2d(features, 2, 1)[:, :, :-1:2, :-1:2],
    "side-by-side": lambda features: F.avg_pool2d(F.max_pool2d(features, 2), 2) if min(features.shape[2:]) > 3 else F.max_pool2d(features, 2)[:, :, :0, :0],
    "wrong-order": lambda features: F.max_pool2d(F.avg_pool2d(features, 2, 1), 2),
}
