__version__ = "0.1.0"


def __getattr__(name):
    "`import lesson_nb; lesson_nb.nn.Linear`: the modules with PyTorch's names are imported when somebody asks for them."
    if name not in ("data", "functional", "init", "nn", "optim"): raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib
    return importlib.import_module(f"{__name__}.{name}")
