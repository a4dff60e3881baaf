"What all tests share: no window, no download, the repository's tools, and random numbers that are the same every time, unless LESSON_NB_SEED asks for others."
import os, signal, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("LESSON_NB_OFFLINE", "1")            # a test that needs the other way unsets it for itself
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:      # so it is behind `nohup` or `&`, and processes that are started here inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("LESSON_NB_LOG", None)                      # what tests record is no result of a lesson
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))

import pytest
from hypothesis import HealthCheck, settings

SEED = int(os.environ.get("LESSON_NB_SEED") or 0)
settings.register_profile("course", deadline=None, derandomize=not SEED, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("course")


LONGEST = ("test_core", "test_exercises", "test_datasets", "test_workers", "test_standins", "test_runner", "test_checkpoints", "test_layers", "test_matmul")


def pytest_collection_modifyitems(items):
    "The files that take longest come first: on several processors, file by file, one that begins last would keep the others waiting."
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(autouse=True)
def seeded():
    "Each test draws from the same seed, whichever ran before it."
    import random, numpy
    from lesson_nb.core import seed_torch
    random.seed(SEED)
    numpy.random.seed(SEED % 2**32)
    seed_torch(SEED)


@pytest.fixture
def one_thread():
    "Numbers this small are slower on two threads, and much slower on a busy machine."
    import torch
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def once_more(monkeypatch):
    "A function that imports a module a second time, with our Module and Parameter where it looks for torch's."
    import importlib.util, torch
    from lesson_nb import modules
    def load(module):
        monkeypatch.setattr(torch.nn, "Module", modules.Module)
        monkeypatch.setattr(torch.nn, "Parameter", modules.Parameter)
        spec = importlib.util.spec_from_file_location(f"{module.__name__}_once_more", module.__file__)
        again = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, again)
        spec.loader.exec_module(again)
        return again
    return load


@pytest.fixture(scope="session")
def root():
    "The repository."
    return ROOT


@pytest.fixture
def course(tmp_path):
    "A repository of its own in a folder with a space in its name: settings.ini, and empty nbs/ and lesson_nb/."
    folder = tmp_path/"a course"
    for name in ("nbs", "lesson_nb"): (folder/name).mkdir(parents=True)
    for name in ("settings.ini", "setup.py", "pyproject.toml", "constraints.txt"):
        (folder/name).write_bytes((ROOT/name).read_bytes())
    return folder
