import torch

MISTAKES = {"not-transposed": lambda embedding, weight: torch.matmul(embedding, weight), "turned": lambda embedding, weight: (embedding @ weight.T).T.clone(),
            "element-by-element": lambda embedding, weight: weight * embedding}
