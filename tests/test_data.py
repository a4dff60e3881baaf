"""The DataLoader beside torch's: the same batches from the same seeds, whoever reads them; collating; going on in mid-epoch; refusals."""
import copy, inspect, io, multiprocessing, os, pickle, warnings
from collections import OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from functools import partial
from types import MappingProxyType
import numpy, pytest, torch
import torch.utils.data as theirs
from torch.nn.utils.rnn import pad_sequence
from lesson_nb import data as ours
from lesson_nb import collate

Point = namedtuple("Point", "x y")
FORK = "fork" in multiprocessing.get_all_start_methods()


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    assert multiprocessing.active_children() == []


class Items(theirs.Dataset):
    "Examples one at a time: a row, its number, a name."
    def __init__(self, n=23): self.rows = torch.arange(3.0 * n).reshape(n, 3)
    def __len__(self): return len(self.rows)
    def __getitem__(self, i): return {"row": self.rows[i], "pair": (i, Point(i / 2, str(i)))}


class Many(Items):
    def __getitems__(self, indices): return [self[i] for i in indices]


class Random(Items):
    "Examples that are changed at random."
    def __getitem__(self, i): return self.rows[i] + torch.rand(3), numpy.random.rand()


class Stream(theirs.IterableDataset):
    def __init__(self, n=23, split=False): self.n, self.split = n, split
    def __iter__(self):
        info = self.split and theirs.get_worker_info()
        for i in range(info.id if info else 0, self.n, info.num_workers if info else 1): yield i, torch.tensor([i / 2])
    def __len__(self): return self.n


class OurStream(Stream, ours.IterableDataset): pass


def alike(a, b):
    if isinstance(a, torch.Tensor): return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, (dict, UserDict, MappingProxyType)): return type(a) is type(b) and list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple, UserList, deque)): return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and a == b


def epochs(place, dataset, count=2, seed=3, own=False, **kwargs):
    "The batches of some epochs, and a number drawn afterwards: both must draw as much."
    torch.manual_seed(seed)
    if own: kwargs["generator"] = torch.Generator().manual_seed(8)
    loader = place.DataLoader(dataset, **kwargs)
    return [list(loader) for _ in range(count)] + [torch.rand(1)] + ([torch.rand(1, generator=kwargs["generator"])] if own else [])


def test_signature_and_attributes_are_torchs():
    mine, other = ([(p.name, p.kind, p.default) for p in inspect.signature(place.DataLoader.__init__).parameters.values()] for place in (ours, theirs))
    assert mine == other
    a, b = (place.DataLoader(Items(), 4, shuffle=True, num_workers=2, drop_last=True) for place in (ours, theirs))
    for name in ("batch_size", "num_workers", "prefetch_factor", "pin_memory", "pin_memory_device", "timeout", "drop_last", "persistent_workers", "worker_init_fn", "generator", "in_order"):
        assert getattr(a, name) == getattr(b, name), name
    assert type(a.sampler).__name__ == "RandomSampler" and type(a.batch_sampler).__name__ == "BatchSampler" and len(a) == len(b) == 5


def test_one_place_gives_all_names():
    for name in ("Dataset", "IterableDataset", "TensorDataset", "Subset", "ConcatDataset", "ChainDataset", "random_split", "Sampler", "SequentialSampler", "RandomSampler", "SubsetRandomSampler",
                 "WeightedRandomSampler", "BatchSampler", "default_collate", "default_convert", "get_worker_info", "DataLoader"):
        assert callable(getattr(ours, name)) and hasattr(theirs, name)


# the same batches ----------------------------------------------------------------------------------------------------------------
BATCHES = [{}, {"batch_size": 5}, {"batch_size": 5, "drop_last": True}, {"batch_size": 100}, {"batch_size": 100, "drop_last": True}, {"batch_size": None}, {"batch_size": 4, "shuffle": True},
           {"batch_size": 23, "shuffle": True}, {"batch_size": None, "shuffle": True}, {"batch_size": 4, "shuffle": True, "own": True}, {"batch_size": 1, "shuffle": True, "own": True},
           {"sampler": [3, 1, 2], "batch_size": 2}, {"batch_sampler": [[1, 2], [5], [7, 8, 9]]}, {"batch_sampler": [(1, 2), (4,)]}]


@pytest.mark.parametrize("kind", [Items, Many])
@pytest.mark.parametrize("kwargs", BATCHES, ids=str)
def test_batches_are_torchs(kwargs, kind): assert alike(epochs(ours, kind(), **kwargs), epochs(theirs, kind(), **kwargs))


@pytest.mark.parametrize("workers_", [1, 2, 3])
@pytest.mark.parametrize("kwargs", [BATCHES[i] for i in (1, 2, 5, 6, 9, 12)], ids=str)
def test_batches_do_not_depend_on_the_number_of_workers(kwargs, workers_):
    assert alike(epochs(ours, Items(), **kwargs), epochs(ours, Items(), num_workers=workers_, **kwargs))


@pytest.mark.parametrize("kwargs", [{"shuffle": True, "batch_size": 4}, {"batch_size": 3, "own": True, "shuffle": True}], ids=str)
def test_random_examples_are_torchs_too(kwargs):
    for more in ({}, {"num_workers": 2}):
        numpy.random.seed(0); a = epochs(ours, Random(), **kwargs, **more)
        numpy.random.seed(0); b = epochs(theirs, Random(), **kwargs, **more)
        assert alike(a, b)


@pytest.mark.parametrize("kwargs", BATCHES, ids=str)
@pytest.mark.parametrize("wrap", [lambda p, d: d, lambda p, d: p.Subset(d, list(range(22, -1, -1))), lambda p, d: p.ConcatDataset([p.Subset(d, range(10)), p.Subset(d, range(10, 23))])], ids=["whole", "subset", "concat"])
def test_tensors_read_whole_are_torchs_batches(kwargs, wrap):
    tensors = torch.randn(23, 3), torch.arange(23)
    mine, other = (wrap(place, place.TensorDataset(*tensors)) for place in (ours, theirs))
    for workers_ in (0, 2) if kwargs in BATCHES[5:7] else (0,):
        got, expected = epochs(ours, mine, num_workers=workers_, **kwargs), epochs(theirs, other, **kwargs)
        assert alike(got, expected)
        assert alike(epochs(ours, other, num_workers=workers_, **kwargs), expected), "PyTorch's own dataset in our loader"


@pytest.mark.parametrize("kwargs", [{"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}], ids=str)
def test_an_empty_dataset_has_no_batches(kwargs):
    mine, other = (list(place.DataLoader(place.TensorDataset(torch.zeros(0, 2)), **kwargs)) for place in (ours, theirs))
    assert mine == other == []


def test_whole_reading_is_used_only_where_it_is_the_same():
    class Changed(ours.TensorDataset):
        def __getitem__(self, i): return tuple(-t for t in super().__getitem__(i))
    class Counted(ours.TensorDataset):
        calls = 0
        def get_batch(self, indices):
            type(self).calls += 1
            return super().get_batch(indices)
    x = torch.arange(10.0)
    assert torch.cat([b for b, in ours.DataLoader(Changed(x), 3)]).tolist() == (-x).tolist()
    assert len(list(ours.DataLoader(Counted(x), 2))) == 5 and 1 < Counted.calls <= 5, "small batches are read together"
    Counted.calls = 0
    assert next(iter(ours.DataLoader(Counted(x), 2, collate_fn=len))) == 2 and Counted.calls <= 1, "a collate_fn gets a list of examples"


@pytest.mark.filterwarnings("ignore:Length of IterableDataset")
@pytest.mark.parametrize("kind", [Stream, OurStream])
@pytest.mark.parametrize("kwargs", [{"batch_size": 5}, {"batch_size": 5, "drop_last": True}, {"batch_size": None}, {"batch_size": 100}], ids=str)
@pytest.mark.parametrize("workers_", [0, 1, 3])
@pytest.mark.parametrize("split", [False, True])
def test_streams_are_torchs(kind, kwargs, workers_, split):
    got, expected = (epochs(place, kind(split=split), num_workers=workers_, **kwargs) for place in (ours, theirs))
    assert alike(got, expected) and len(ours.DataLoader(kind(), **kwargs)) == len(theirs.DataLoader(kind(), **kwargs))


def test_any_order_loses_nothing():
    for dataset in (Items(), Stream(split=True)):
        got = list(ours.DataLoader(dataset, 2, num_workers=3, in_order=False))
        numbers = torch.cat([b["pair"][0] if isinstance(b, dict) else b[0] for b in got])
        assert sorted(numbers.tolist()) == list(range(23))


def test_indices_need_not_be_numbers():
    names = {"a": 1, "b": 2, "c": 3}
    for n in (0, 2): assert [b.tolist() for b in ours.DataLoader(names, 2, sampler=["c", "a", "b"], num_workers=n)] == [[3, 1], [2]]
    assert [b.tolist() for b in ours.DataLoader(range(10, 20), 4)] == [[10, 11, 12, 13], [14, 15, 16, 17], [18, 19]]


# loops ----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kwargs", [{}, {"num_workers": 2}, {"num_workers": 2, "persistent_workers": True}], ids=["here", "workers", "persistent"])
class TestLoops:
    def loader(self, kwargs, n=12): return ours.DataLoader(range(n), 3, **kwargs)

    def test_twice_and_broken_off(self, kwargs):
        loader, whole = self.loader(kwargs), [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
        for _ in range(3):
            assert [b.tolist() for b in loader] == whole
            for batch in loader: break
            assert batch.tolist() == whole[0]

    def test_nested_over_one_loader(self, kwargs):
        loader = self.loader(kwargs, 6)
        assert [(a.tolist()[0], b.tolist()[0]) for a in loader for b in loader] == [(0, 0), (0, 3), (3, 0), (3, 3)]
        assert [(a[0].item(), b[0].item()) for a, b in zip(loader, loader)] == [(0, 0), (3, 3)]

    def test_an_error_in_the_loop_ends_it(self, kwargs):
        loader = self.loader(kwargs)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                for batch in loader: 1 / 0
        assert len(list(loader)) == 4

    def test_an_iterator_that_is_never_asked_costs_nothing(self, kwargs):
        before = len(multiprocessing.active_children())
        iterator = iter(self.loader(kwargs))
        assert len(multiprocessing.active_children()) == before
        assert next(iterator).tolist() == [0, 1, 2] and len(list(iterator)) == 3 and list(iterator) == []


class Pid(Items):
    def __getitem__(self, i): return os.getpid()


def test_persistent_workers_stay_and_others_do_not():
    kept, fresh = (ours.DataLoader(Pid(8), 1, num_workers=2, persistent_workers=p) for p in (True, False))
    assert len({b.item() for _ in range(3) for b in kept}) == 2 and len({b.item() for _ in range(3) for b in fresh}) == 6
    assert len(multiprocessing.active_children()) == 2
    del kept


class Breaking(Items):
    def __getitem__(self, i):
        if i == 13: raise ValueError("number thirteen")
        return i


def test_after_an_error_a_persistent_loader_starts_anew():
    loader = ours.DataLoader(Breaking(), 4, num_workers=2, persistent_workers=True)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"worker 1 of 2 \(process \d+\) failed while reading index 13, number 1 of the batch of indices \[12, 13, 14, 15\](.|\n)*number thirteen"): list(loader)


@pytest.mark.parametrize("make, where", [
    (lambda: ours.DataLoader(Breaking(), 4), "while reading index 13, number 1 of the batch of indices [12, 13, 14, 15]"), (lambda: ours.DataLoader(Breaking(), None), "while reading index 13"),
    (lambda: ours.DataLoader([torch.zeros(1), torch.zeros(2)], 2), "while putting together the batch of indices [0, 1]"),
    (lambda: ours.DataLoader(ours.Subset(Breaking(), [1, 13]), 2), "while reading index 1, number 1 of the batch of indices [0, 1]")])
def test_an_error_here_bears_a_note(make, where):
    with pytest.raises((ValueError, RuntimeError)) as caught: list(make())
    assert any(where in note for note in caught.value.__notes__)


def test_stop_iteration_in_a_dataset_is_an_error_and_no_early_end():
    class Stopping(Items):
        def __getitem__(self, i): return next(iter([]))
    for n in (0, 1) if FORK else (0,):
        with pytest.raises(RuntimeError, match="StopIteration"): list(ours.DataLoader(Stopping(), 2, num_workers=n))


# going on in mid-epoch --------------------------------------------------------------------------------------------------------------
LOADERS = {
    "in order": lambda d, g: ours.DataLoader(d, 4), "shuffled": lambda d, g: ours.DataLoader(d, 4, shuffle=True), "own generator": lambda d, g: ours.DataLoader(d, 4, shuffle=True, generator=g),
    "workers": lambda d, g: ours.DataLoader(d, 4, shuffle=True, num_workers=2), "weighted": lambda d, g: ours.DataLoader(d, 4, sampler=ours.WeightedRandomSampler(torch.ones(23), 30, generator=g)),
    "batch sampler": lambda d, g: ours.DataLoader(d, batch_sampler=ours.BatchSampler(ours.RandomSampler(d, generator=g), 5, True)), "single": lambda d, g: ours.DataLoader(d, None, shuffle=True),
    "evenly": lambda d, g: ours.DataLoader(ours.Subset(d, range(20)), 4, shuffle=True, generator=g),
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("dataset", [Items(), ours.TensorDataset(torch.randn(23, 3), torch.arange(23))], ids=["items", "tensors"])
@pytest.mark.parametrize("at", [0, 1, 3, "last", "after"])
def test_goes_on_in_mid_epoch(name, dataset, at):
    torch.manual_seed(2)
    loader = LOADERS[name](dataset, torch.Generator().manual_seed(6))
    list(loader)
    running = iter(loader)
    if at == "after": list(running)
    else:
        for _ in range(len(loader) if at == "last" else at): next(running)
    file = io.BytesIO(); torch.save(loader.state_dict(), file); file.seek(0)
    rng = torch.get_rng_state()
    rest, following = list(running), [list(loader) for _ in range(2)]
    torch.manual_seed(1234)
    resumed = LOADERS[name](dataset, torch.Generator().manual_seed(777))
    resumed.load_state_dict(torch.load(file, weights_only=True))
    torch.set_rng_state(rng)
    if at != "after": assert alike(list(resumed), rest)
    assert alike([list(resumed) for _ in range(2)], following)


def test_a_stream_goes_on_too():
    loader = ours.DataLoader(Stream(), 4)
    running = iter(loader)
    next(running), next(running)
    state, rest = loader.state_dict(), list(running)
    again = ours.DataLoader(Stream(), 4)
    again.load_state_dict(state)
    assert alike(list(again), rest) and len(list(again)) == 6


def test_one_batch_changes_nothing():
    for n in (0, 2):
        for own in (None, torch.Generator().manual_seed(4)):
            loader = ours.DataLoader(Random(), 4, shuffle=True, generator=own, num_workers=n)
            torch.manual_seed(5)
            rng, state = torch.get_rng_state(), loader.state_dict()
            first, second = loader.one_batch(), loader.one_batch()
            assert torch.equal(rng, torch.get_rng_state()) and str(loader.state_dict()) == str(state)
            assert torch.equal(first[0], second[0]) and torch.equal(first[0], next(iter(loader))[0]), "it is the batch that comes next"
    running = iter(loader)
    next(running)
    where = loader.state_dict()
    loader.one_batch()
    assert str(loader.state_dict()) == str(where) and len(list(running)) == 5 and len(list(loader)) == 6, "and a running epoch runs on"
    loader.load_state_dict(where)
    ahead = loader.one_batch()
    assert torch.equal(ahead[0], next(iter(loader))[0]), "after load_state_dict it looks at what is left"
    with pytest.raises(ValueError, match="got none"): ours.DataLoader(range(3), 4, drop_last=True).one_batch()


# collating ---------------------------------------------------------------------------------------------------------------------------
COLLATED = {
    "tensors": [torch.ones(2), torch.zeros(2)], "scalars": [torch.tensor(1.0), torch.tensor(2.0)], "ints": [1, 2, 3], "bools": [True, False], "floats": [0.5, 2.0], "large ints": [2**40, 1],
    "numpy": [numpy.ones((2, 3)), numpy.zeros((2, 3))], "numpy ints": [numpy.int32(1), numpy.int32(2)], "numpy float32": [numpy.float32(1.5)], "numpy float64": [numpy.float64(1.5)], "numpy bool": [numpy.bool_(True)],
    "0-d arrays": [numpy.array(1), numpy.array(2)], "strings": ["a", "b"], "bytes": [b"a"], "tuples": [(1, "a"), (2, "b")], "lists": [[1, 2.0], [3, 4.0]], "dicts": [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}],
    "named": [Point(1, torch.ones(2)), Point(2, torch.zeros(2))], "nested": [({"x": (1, [2.0])}, "s")] * 3, "ordered": [OrderedDict(z=1, a=2)] * 2, "defaultdict": [defaultdict(int, a=1)] * 2,
    "user dict": [UserDict(a=1)] * 2, "user list": [UserList([1, 2])] * 2, "read-only": [MappingProxyType({"a": 1})] * 2, "ranges": [range(3), range(3)], "empty tuples": [(), ()], "deques": [deque([1, 2])] * 2,
    "half": [torch.ones(2).half()] * 2, "unicode arrays": None, "one": [torch.ones(3)],
}


@pytest.mark.parametrize("name", [n for n, batch in COLLATED.items() if batch])
def test_collating_is_torchs(name):
    batch = COLLATED[name]
    assert alike(ours.default_collate(batch), theirs.default_collate(batch))
    assert alike(ours.pad_collate(batch), theirs.default_collate(batch))
    for example in batch: assert alike(ours.default_convert(example), theirs.default_convert(example))


def test_collating_passes_gradients():
    x = torch.ones(2, requires_grad=True)
    ours.default_collate([x, x * 2])[1].sum().backward()
    assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize("batch, error, why", [
    ([torch.ones(2), torch.ones(3)], RuntimeError, r"one shape, got \(2,\) and \(3,\); collate_fn=pad_collate"), ([(1, 2), (1,)], RuntimeError, r"equally many parts, got \[1, 2\]"),
    ([object()], TypeError, "got object; give the DataLoader a collate_fn"), ([None], TypeError, "got NoneType"), ([{1}], TypeError, "got set"), ([numpy.array(["a"])], TypeError, "expected tensors"),
    ([torch.ones(2), "a"], TypeError, "str"), ([{"a": 1}, {"b": 1}], KeyError, "a"),
])
def test_collating_refuses(batch, error, why):
    with pytest.raises(error, match=why): ours.default_collate(batch)
    with pytest.raises(Exception): theirs.default_collate(batch)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
@pytest.mark.parametrize("lengths", [(3, 1, 2), (2, 2), (0, 2), (1,), (0, 0)], ids=str)
@pytest.mark.parametrize("value", [0, 1])
def test_padding_is_torchs(dtype, lengths, value):
    for rest in ((), (2,)):
        batch = [torch.randint(0, 2, (n, *rest)).to(dtype) for n in lengths]
        expected = pad_sequence(batch, batch_first=True, padding_value=value)
        got = ours.pad_collate([(b, i) for i, b in enumerate(batch)], padding_value=value)
        assert alike(got, [expected, torch.arange(len(lengths))])


def test_padding_in_every_dimension_and_in_workers():
    batch = ours.pad_collate([torch.ones(1, 3), torch.ones(2, 1)], -1.0)
    assert batch.tolist() == [[[1, 1, 1], [-1, -1, -1]], [[1, -1, -1], [1, -1, -1]]]
    with pytest.raises(RuntimeError, match="number of dimensions"): ours.pad_collate([torch.ones(1), torch.ones(1, 1)])
    texts = [torch.arange(n) for n in (1, 4, 2)]
    for n in (0, 1):
        batch, = ours.DataLoader(texts, 3, collate_fn=partial(ours.pad_collate, padding_value=9), num_workers=n)
        assert batch.tolist() == [[0, 9, 9, 9], [0, 1, 2, 3], [0, 1, 9, 9]]


# arguments ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kwargs, why", [
    ({"num_workers": -1}, "num_workers of 0 or more, got -1"), ({"timeout": -1}, "timeout of 0"), ({"prefetch_factor": 2}, "prefetch_factor only where num_workers > 0"),
    ({"prefetch_factor": 0, "num_workers": 1}, "prefetch_factor of 1"), ({"persistent_workers": True}, "persistent_workers only where"), ({"multiprocessing_context": "spawn"}, "multiprocessing_context only where"),
    ({"sampler": [1], "shuffle": True}, "a sampler or shuffle=True, got both"), ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler alone"), ({"batch_sampler": [[1]], "shuffle": True}, "batch_sampler alone"),
    ({"batch_sampler": [[1]], "drop_last": True}, "batch_sampler alone"), ({"batch_size": None, "drop_last": True}, "a batch_size with drop_last"), ({"batch_size": 0}, "batch_size of 1 or more"), ({"drop_last": 1}, "drop_last=True or False"),
])
def test_arguments_are_refused_as_by_torch(kwargs, why):
    with pytest.raises(ValueError, match=why): ours.DataLoader(Items(), **kwargs)
    if kwargs != {"prefetch_factor": 0, "num_workers": 1}:   # with which PyTorch's waits for ever
        with pytest.raises(ValueError): theirs.DataLoader(Items(), **kwargs)


def test_more_refusals():
    for kwargs in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}):
        with pytest.raises(ValueError, match="with an IterableDataset"): ours.DataLoader(Stream(), **kwargs)
    assert len(list(ours.DataLoader(Stream(), 4, shuffle=False))) == 6
    with pytest.raises(ValueError, match="is the dataset empty"): ours.DataLoader([], shuffle=True)
    assert list(ours.DataLoader([])) == [] and len(ours.DataLoader([])) == 0
    with pytest.raises(NotImplementedError, match="pin_memory_device"): ours.DataLoader(Items(), pin_memory_device="xpu")
    with pytest.raises(ValueError, match="context"): list(ours.DataLoader(Items(), num_workers=1, multiprocessing_context="thread"))
    loader = ours.DataLoader(Items(), 4)
    for name in ("batch_size", "sampler", "batch_sampler", "dataset", "drop_last", "persistent_workers"):
        with pytest.raises(ValueError, match=f"expected {name} to stay"): setattr(loader, name, None)
    loader.collate_fn = len
    assert next(iter(loader)) == 4
    class Unsized(theirs.IterableDataset):
        def __iter__(self): return iter(range(3))
    with pytest.raises(TypeError): len(ours.DataLoader(Unsized()))


@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA it does something")
def test_pinning_without_cuda_warns_and_does_nothing():
    with pytest.warns(UserWarning, match="does nothing without CUDA"): loader = ours.DataLoader(Items(), 4, pin_memory=True)
    assert len(list(loader)) == 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("n", [0, 2])
def test_pinned_under_cuda(n):
    plain = list(ours.DataLoader(Items(), 4, num_workers=n))
    pinned = list(ours.DataLoader(Items(), 4, num_workers=n, pin_memory=True))
    assert all(b["row"].is_pinned() and b["pair"][0].is_pinned() and type(b["pair"][1]) is Point for b in pinned) and alike(plain, pinned)
    tensors, = zip(*ours.DataLoader(ours.TensorDataset(torch.randn(20, 3)), 4, pin_memory=True))
    assert all(t.is_pinned() for t in tensors)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_tensors_on_the_gpu_are_read_there():
    x = torch.randn(50, 3)
    for (a,), (b,) in zip(ours.DataLoader(ours.TensorDataset(x.cuda()), 8), ours.DataLoader(ours.TensorDataset(x), 8), strict=True): assert a.is_cuda and torch.equal(a.cpu(), b)
    dataset = ours.TensorDataset(x.cuda())
    assert torch.equal(dataset.get_batch([-1, 0])[0].cpu(), x[[-1, 0]])
    with pytest.raises(IndexError, match="50"): dataset.get_batch([50])
    torch.cuda.synchronize()


def test_pinning_reaches_every_part_and_keeps_the_structure(monkeypatch):
    class Own:
        def pin_memory(self): return "pinned"
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t: t + 100)
    got = collate.pin_memory({"a": torch.zeros(1), "b": (torch.ones(1), Point(torch.ones(1), "s")), "c": [1, None, Own()]})
    assert got["a"].item() == 100 and got["b"][0].item() == 101 and got["b"][1].x.item() == 101 and got["c"][1:] == [None, "pinned"]


def test_spawned_workers_and_travelling_loaders():
    loader = ours.DataLoader(Items(), 8, shuffle=True, num_workers=1, multiprocessing_context="spawn", persistent_workers=True)
    torch.manual_seed(0); a = list(loader)
    torch.manual_seed(0); b = list(ours.DataLoader(Items(), 8, shuffle=True))
    assert alike(a, b)
    for twin in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))): assert twin._pool is None and len(twin) == 3
    del loader


def test_worker_init_fn_and_info_reach_the_dataset():
    got = list(ours.DataLoader(Info(), 1, num_workers=2, worker_init_fn=mark))
    assert [b.tolist() for b in got] == [[[0, 2, 10]], [[1, 2, 11]], [[0, 2, 10]], [[1, 2, 11]]]
    assert ours.get_worker_info() is None and theirs.get_worker_info() is None


class Info(theirs.Dataset):
    mark = 0
    def __len__(self): return 4
    def __getitem__(self, i):
        info = ours.get_worker_info()
        assert info == theirs.get_worker_info() and info.dataset is self
        return torch.tensor([info.id, info.num_workers, self.mark])


def mark(worker): ours.get_worker_info().dataset.mark = 10 + worker


# bunches -----------------------------------------------------------------------------------------------------------------------------
def test_bunch():
    train, valid = range(100), ours.TensorDataset(torch.arange(50))
    bunch = ours.get_dls(train, valid, 8, generator=torch.Generator().manual_seed(1), drop_last=True, collate_fn=None)
    assert bunch.train_ds is train and bunch.valid_ds is valid and (bunch.train_dl.batch_size, bunch.valid_dl.batch_size) == (8, 16)
    assert len(bunch.train_dl) == 12 and len(bunch.valid_dl) == 4, "validation leaves nothing out"
    assert torch.cat([b for b, in bunch.valid_dl]).tolist() == list(range(50)) and torch.cat(list(bunch.train_dl)).tolist() != list(range(96))
    assert ours.DataBunch(bunch.train_dl).valid_ds is None
    weighted = ours.get_dls(train, valid, 4, sampler=ours.SubsetRandomSampler([1, 2]))
    assert sorted(torch.cat(list(weighted.train_dl)).tolist()) == [1, 2]
    by_lists = ours.get_dls(train, valid, 4, batch_sampler=[[1, 2, 3]])
    assert [b.tolist() for b in by_lists.train_dl] == [[1, 2, 3]] and by_lists.valid_dl.batch_size == 8
    unsaid = ours.get_dls(range(1000), None, 8, sampler=None, batch_sampler=None)
    assert unsaid.train_dl.batch_size == 8 and unsaid.valid_dl is None and unsaid.train_dl.one_batch().tolist() != list(range(8)), "None is not said"
    apart = ours.get_dls(train, valid, 4, valid_batch_size=25)
    assert (apart.train_dl.batch_size, apart.valid_dl.batch_size, len(apart.valid_dl)) == (4, 25, 2)
    with pytest.raises(TypeError): ours.get_dls(train, valid, 4, colour="red")
    with pytest.raises(ValueError): ours.get_dls(train, valid, 4, valid_batch_size=0)


def test_the_default_dataset_of_torch_is_served_by_torchs_loader_too():
    "Ours in theirs: map-style datasets and samplers fit by their methods alone."
    x = torch.randn(10, 2)
    a = list(theirs.DataLoader(ours.TensorDataset(x), 3, sampler=ours.RandomSampler(range(10), generator=torch.Generator().manual_seed(0))))
    b = list(ours.DataLoader(ours.TensorDataset(x), 3, sampler=theirs.RandomSampler(range(10), generator=torch.Generator().manual_seed(0))))
    assert alike(a, b)


# reading in groups ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1, 3, 64])
def test_groups_are_the_batches(size):
    wide = torch.randn(500, 300)
    dataset, sampler = ours.TensorDataset(wide, torch.arange(500)), ours.BatchSampler(ours.RandomSampler(range(500), generator=torch.Generator().manual_seed(3)), size, False)
    orders = list(sampler)
    sampler.sampler.generator.manual_seed(3)
    got = list(ours.read_in_groups(sampler.tensors(), dataset))
    assert [b[1].tolist() for b in got] == orders and all(torch.equal(a, wide[i]) for a, i in got)


def test_groups_leave_other_structures_alone():
    class Named(ours.TensorDataset):
        def get_batch(self, indices): return {"rows": self.tensors[0][indices], "n": len(indices)}
    got = list(ours.read_in_groups(torch.arange(10).split(3), Named(torch.arange(20.0).reshape(10, 2))))
    assert [g["n"] for g in got] == [3, 3, 3, 1]


def test_helper_gives_everything_in_order_and_errors_in_their_turn():
    import threading, time
    seen = set()
    def slow(n):
        seen.add(threading.get_ident())
        time.sleep(0.002 * (n % 3))
        if n == 40: raise ValueError("number forty")
        return n
    assert list(ours._with_helper(slow, range(40))) == list(range(40)) and len(seen) == 2, "two threads have read"
    assert list(ours._with_helper(slow, [])) == [] and list(ours._with_helper(slow, [7])) == [7]
    got, answers = [], ours._with_helper(slow, range(30, 60))
    with pytest.raises(ValueError, match="number forty"):
        for n in answers: got.append(n)
    assert got == list(range(30, 40))
    before, answers = threading.active_count(), ours._with_helper(slow, range(30))
    next(answers)
    answers.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline: time.sleep(0.01)
    assert threading.active_count() <= before, "the helper goes when the loop is broken off"


def test_only_copying_is_done_by_two_threads():
    class Own(ours.TensorDataset): pass
    x = torch.zeros(4, 2)
    assert ours._is_memory(ours.TensorDataset(x)) and ours._is_memory(ours.Subset(ours.TensorDataset(x), [1])) and not ours._is_memory(Own(x))
    assert not ours._is_memory(ours.TensorDataset(x.clone().requires_grad_())) and not ours._is_memory(ours.TensorDataset(x.T))


def test_pytorchs_tensor_dataset_is_read_whole_too():
    dataset = theirs.TensorDataset(torch.arange(9.0))
    assert type(ours._as_ours(dataset)) is ours.TensorDataset and type(ours._as_ours(theirs.Subset(dataset, [1]))) is ours.Subset
    class Changed(theirs.TensorDataset):
        def __getitem__(self, i): return tuple(-t for t in super().__getitem__(i))
    assert torch.cat([b for b, in ours.DataLoader(Changed(torch.arange(9.0)), 4)]).tolist() == [-float(i) for i in range(9)]


def test_bunch_of_streams():
    class Stream(ours.IterableDataset):
        def __iter__(self): return iter(range(10))
    bunch = ours.get_dls(Stream(), Stream(), 4)
    assert [b.tolist() for b in bunch.train_dl] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] and len(list(bunch.valid_dl)) == 2


# ---- samplers of one's own, and PyTorch's loader over our data sets

class Evens(ours.RandomSampler):
    def __iter__(self): return (i for i in super().__iter__() if i % 2 == 0)


class Listed(ours.Sampler):
    "Has an `order`, which is no method."
    def __init__(self, order): self.order = order
    def __iter__(self): return iter(self.order)
    def __len__(self): return len(self.order)


@pytest.mark.parametrize("make", [Evens, lambda ds: Listed([3, 1, 4, 1])])
def test_a_changed_iter_is_heard(make):
    ds = ours.TensorDataset(torch.arange(8))
    torch.manual_seed(5)
    got = [b.tolist() for b, in ours.DataLoader(ds, 2, sampler=make(ds))]
    torch.manual_seed(5)
    assert got == [b.tolist() for b, in theirs.DataLoader(ds, 2, sampler=make(ds))]


class Plain:
    "Examples one by one, and nothing else."
    def __init__(self, start): self.start = start
    def __len__(self): return 4
    def __getitem__(self, i):
        if i >= 4: raise IndexError(i)
        return self.start + i


def test_pytorchs_loader_reads_our_datasets():
    both = ours.ConcatDataset([Plain(0), ours.Subset(Plain(10), [3, 1]), ours.TensorDataset(torch.tensor([20, 21]))])
    assert both.__getitems__([5, 0, 4, 3, 6]) == [11, 0, 13, 3, (torch.tensor(20),)]
    assert [b.tolist() for b in theirs.DataLoader(ours.Subset(Plain(0), [2, 0, 3]), 2)] == [[2, 0], [3]]


def test_workers_that_stay_draw_no_new_seed():
    found = []
    for place in (ours, theirs):
        torch.manual_seed(3)
        loader = place.DataLoader(ours.TensorDataset(torch.arange(12)), 4, shuffle=True, num_workers=1, persistent_workers=True)
        found.append([[b.tolist() for b, in loader] for _ in range(3)])
        del loader
    assert found[0] == found[1]


def test_a_look_with_workers_that_stay_changes_nothing():
    def run(look):
        torch.manual_seed(3)
        loader = ours.DataLoader(ours.TensorDataset(torch.arange(12)), 4, shuffle=True, num_workers=1, persistent_workers=True)
        first = [b.tolist() for b, in [loader.one_batch()]] if look else None
        epochs = [[b.tolist() for b, in loader] for _ in range(2)]
        if look: assert first[0] == epochs[0][0] and [b.tolist() for b, in [loader.one_batch()]]
        return epochs, [b.tolist() for b, in loader]
    assert run(True) == run(False)
