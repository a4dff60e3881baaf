"""Datasets and samplers beside torch's: the same examples, the same orders from the same generators, refusals; leaving off and going on."""
import copy, inspect, io, itertools, pickle
import pytest, torch
import torch.utils.data as theirs
from lesson_nb import samplers as ours

NAMES = ["Dataset", "IterableDataset", "TensorDataset", "Subset", "ConcatDataset", "ChainDataset", "random_split", "Sampler", "SequentialSampler", "RandomSampler",
         "SubsetRandomSampler", "WeightedRandomSampler", "BatchSampler"]


class Squares(ours.Dataset):
    "Only what a dataset must have."
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, index):
        if not -self.n <= index < self.n: raise IndexError(index)
        return index ** 2


def generator(seed=3): return torch.Generator().manual_seed(seed)
def same(a, b): return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("Dataset", "IterableDataset", "Sampler")])
def test_signature_is_torchs(name):
    mine, other = ([(p.name, p.default) for p in inspect.signature(getattr(place, name)).parameters.values()] for place in (ours, theirs))
    assert mine == other


# datasets ---------------------------------------------------------------------------------------------------------------------
x, y = torch.arange(20.0).reshape(10, 2), torch.arange(10)


@pytest.mark.parametrize("index", [0, 9, -1, slice(2, 5), [3, 1], torch.tensor([4, 4]), torch.tensor(2)], ids=str)
def test_tensor_dataset_is_torchs(index):
    mine, other = ours.TensorDataset(x, y), theirs.TensorDataset(x, y)
    assert len(mine) == len(other) == 10 and mine.tensors == other.tensors
    assert isinstance(mine[index], tuple) and same(mine[index], other[index])


@pytest.mark.parametrize("indices", [[0], [3, 1, 1, 9], [], [-1, 0], list(range(10))], ids=str)
@pytest.mark.parametrize("tensor", [x, y, x.T.contiguous().T, x[:, 0], x.expand(3, 10, 2).transpose(0, 1), x > 3, x.to(torch.bfloat16), x.to(torch.complex64), torch.zeros(10, 0)], ids=lambda t: f"{str(t.dtype)[6:]} {tuple(t.shape)}")
@pytest.mark.parametrize("threads", [1, 2])   # two ways of reading
def test_whole_batches_are_the_rows(tensor, indices, threads, one_thread):
    torch.set_num_threads(threads)
    dataset = ours.TensorDataset(tensor, y)
    for given in (indices, torch.tensor(indices, dtype=torch.int64)):
        got = dataset.get_batch(given)
        assert isinstance(got, list) and same(got, [tensor[torch.tensor(indices, dtype=torch.int64)], y[torch.tensor(indices, dtype=torch.int64)]])
    assert all(same(a, dataset[i]) for a, i in zip(dataset.__getitems__(indices), indices, strict=True))


def test_a_batch_is_a_copy_and_passes_gradients():
    dataset = ours.TensorDataset(x.clone().requires_grad_())
    batch, = dataset.get_batch([1, 1, 2])
    batch.sum().backward()
    assert dataset.tensors[0].grad[:4, 0].tolist() == [0, 2, 1, 0]
    table = x.clone()
    ours.TensorDataset(table).get_batch([0, 1])[0].mul_(0)
    assert torch.equal(table, x)


@pytest.mark.parametrize("wrong", [10, -11])
def test_wrong_index_names_itself(wrong):
    dataset = ours.TensorDataset(x, y)
    for read in (lambda: dataset[wrong], lambda: dataset.get_batch([1, wrong]), lambda: ours.ConcatDataset([dataset])[wrong]):
        with pytest.raises(IndexError, match=str(wrong)): read()


def test_tensor_dataset_refuses():
    with pytest.raises(ValueError, match=r"as many rows.*\(10, 2\), \(3,\)"): ours.TensorDataset(x, torch.zeros(3))
    for given in ((), ([1, 2],), (torch.tensor(1),)):
        with pytest.raises(TypeError, match="expected tensors"): ours.TensorDataset(*given)


def test_subset_concat_chain_are_torchs():
    a, b = Squares(4), Squares(3)
    for mine, other in ((ours.Subset(a, [3, 0]), theirs.Subset(a, [3, 0])), (ours.ConcatDataset([a, b]), theirs.ConcatDataset([a, b])), (a + b, theirs.ConcatDataset([a, b])),
                        (ours.Subset(ours.ConcatDataset([a, b]), range(2, 6)), theirs.Subset(theirs.ConcatDataset([a, b]), range(2, 6)))):
        assert len(mine) == len(other) and [mine[i] for i in range(len(mine))] == [other[i] for i in range(len(other))] and mine[-1] == other[-1]
    assert (a + b).cumulative_sizes == [4, 7]
    class Stream(ours.IterableDataset):
        def __init__(self, n): self.n = n
        def __iter__(self): return iter(range(self.n))
        def __len__(self): return self.n
    chain = Stream(2) + Stream(3)
    assert list(chain) == list(chain) == [0, 1, 0, 1, 2] and len(chain) == 5 and isinstance(chain, ours.ChainDataset)
    with pytest.raises(TypeError, match="try ChainDataset"): ours.ConcatDataset([Stream(2)])
    with pytest.raises(ValueError, match="got none"): ours.ConcatDataset([])


def test_subset_of_tensors_is_read_whole():
    dataset = ours.TensorDataset(x, y)
    part = ours.Subset(ours.Subset(dataset, [9, 7, 5, 3]), torch.tensor([3, 0]))
    assert ours.offers(part, "get_batch") and same(part.get_batch(torch.tensor([1, 0])), [x[[9, 3]], y[[9, 3]]])
    both = ours.ConcatDataset([part, dataset])
    assert ours.offers(both, "__getitems__") and not ours.offers(both, "get_batch")
    assert all(same(a, both[i]) for a, i in zip(both.__getitems__([0, 5, 1, 11, -1]), [0, 5, 1, 11, -1], strict=True))


def test_a_batch_is_not_read_past_somebodys_own_getitem():
    class Doubled(ours.TensorDataset):
        def __getitem__(self, index): return tuple(2 * t for t in super().__getitem__(index))
    class Batched(Doubled):
        def get_batch(self, indices): return [2 * t for t in super().get_batch(indices)]
    assert ours.offers(ours.TensorDataset(x), "get_batch") and not ours.offers(Doubled(x), "get_batch") and ours.offers(Batched(x), "get_batch")
    assert not ours.offers(ours.Subset(Doubled(x), [1]), "get_batch") and ours.offers(ours.Subset(Batched(x), [1]), "get_batch")
    assert not ours.offers(Squares(3), "__getitems__") and not ours.offers([1, 2], "get_batch")
    class Switched(ours.TensorDataset): __getitems__ = None
    assert not ours.offers(Switched(x), "__getitems__")


def test_unfinished_datasets_and_samplers_say_what_is_missing():
    for make, use in ((ours.Dataset, lambda d: d[0]), (ours.IterableDataset, iter), (ours.Sampler, iter)):
        with pytest.raises(NotImplementedError, match="expected a method __"): use(make())


@pytest.mark.parametrize("n, lengths", [(10, [7, 3]), (10, [0.8, 0.2]), (11, [0.5, 0.25, 0.25]), (7, [1 / 3, 1 / 3, 1 / 3]), (5, [5]), (5, [1.0]), (10, [0, 10])], ids=str)
def test_random_split_is_torchs(n, lengths):
    mine, other = (place.random_split(range(n), lengths, generator()) for place in (ours, theirs))
    assert [list(m.indices) for m in mine] == [list(o.indices) for o in other] and all(type(m) is ours.Subset for m in mine)
    torch.manual_seed(5); a = ours.random_split(range(n), lengths)
    torch.manual_seed(5); b = theirs.random_split(range(n), lengths)
    assert [m.indices for m in a] == [o.indices for o in b]


def test_random_split_refuses():
    for lengths in ([3, 3], [0.5, 0.4], [1.5, -0.5], [0.7, 0.7]):
        with pytest.raises(ValueError, match="random_split: expected"): ours.random_split(range(10), lengths)
    with pytest.warns(UserWarning, match="part 1 is empty"): ours.random_split(range(1), [0.9, 0.1])


# samplers ---------------------------------------------------------------------------------------------------------------------
MAKERS = {
    "sequential": lambda p, g: p.SequentialSampler(range(10)), "random": lambda p, g: p.RandomSampler(range(10), generator=g),
    "random, fewer": lambda p, g: p.RandomSampler(range(10), num_samples=4, generator=g), "random, more": lambda p, g: p.RandomSampler(range(10), num_samples=25, generator=g),
    "replacement": lambda p, g: p.RandomSampler(range(10), True, generator=g), "replacement, many": lambda p, g: p.RandomSampler(range(10), True, 100, g),
    "subset": lambda p, g: p.SubsetRandomSampler([5, 2, 9, 7], g), "subset of names": lambda p, g: p.SubsetRandomSampler(["a", "b", "c"], g),
    "weighted": lambda p, g: p.WeightedRandomSampler([0.1, 0.0, 3.0, 1.0], 12, generator=g), "weighted once": lambda p, g: p.WeightedRandomSampler([0.1, 1.0, 3.0, 1.0], 3, False, g),
}
each_sampler = pytest.mark.parametrize("name", MAKERS)


@each_sampler
@pytest.mark.parametrize("own", [True, False], ids=["own generator", "global generator"])
def test_orders_are_torchs_epoch_after_epoch(name, own):
    found = []
    for place in (ours, theirs):
        torch.manual_seed(4)
        sampler = MAKERS[name](place, generator() if own else None)
        found.append([list(sampler) for _ in range(3)] + [len(sampler), torch.rand(1).item()])
    assert found[0] == found[1]


@each_sampler
@pytest.mark.parametrize("size, drop", [(1, False), (3, False), (3, True), (4, True), (100, False), (100, True), (5, True)])
def test_batches_are_torchs(name, size, drop):
    found = [[*(list(b) for _ in range(2)), len(b)] for place in (ours, theirs) for b in [place.BatchSampler(MAKERS[name](place, generator()), size, drop)]]
    assert found[0] == found[1]
    if name != "subset of names":
        sampler = ours.BatchSampler(MAKERS[name](ours, generator()), size, drop)
        assert [t.tolist() for t in sampler.tensors()] == found[0][0] and [t.tolist() for t in sampler.tensors()] == found[0][1]


@each_sampler
@pytest.mark.parametrize("own", [True, False], ids=["own generator", "global generator"])
@pytest.mark.parametrize("at", [0, 1, 2, "end"])
def test_goes_on_where_it_left_off(name, own, at):
    torch.manual_seed(1)
    sampler = MAKERS[name](ours, generator() if own else None)
    list(sampler)
    order = iter(sampler)
    for _ in range(len(sampler) if at == "end" else at): next(order)
    state = sampler.state_dict()
    rest = list(order)
    torch.manual_seed(77); later = list(sampler)
    file = io.BytesIO(); torch.save(state, file); file.seek(0)
    again = MAKERS[name](ours, generator(99) if own else None)
    again.load_state_dict(torch.load(file, weights_only=True))
    before = torch.get_rng_state()
    assert list(again) == rest and (own or torch.equal(before, torch.get_rng_state())), "going on draws nothing from torch's default generator"
    torch.manual_seed(77)
    assert list(again) == later


def test_two_iterations_at_once_do_not_disturb_each_other():
    sampler = ours.RandomSampler(range(6), generator=generator())
    a, b = iter(sampler), iter(sampler)
    mixed = list(itertools.chain.from_iterable(zip(a, b)))
    again = ours.RandomSampler(range(6), generator=generator())
    assert [mixed[::2], mixed[1::2]] == [again.order().tolist(), again.order().tolist()]


def test_any_iterable_can_be_batched():
    assert list(ours.BatchSampler("abcde", 2, False)) == [["a", "b"], ["c", "d"], ["e"]] and len(ours.BatchSampler("abcde", 2, True)) == 2
    plain = ours.BatchSampler([1, 2, 3], 2, False)
    assert plain.state_dict() is None and plain.load_state_dict(None) is None and list(plain) == list(plain)


@pytest.mark.parametrize("make, error, why", [
    (lambda: ours.RandomSampler(range(0)), ValueError, "is the dataset empty"), (lambda: ours.RandomSampler(range(3), num_samples=0), ValueError, "got 0"),
    (lambda: ours.RandomSampler(range(3), num_samples=1.5), ValueError, "got 1.5"), (lambda: ours.RandomSampler(range(3), replacement=1), TypeError, "True or False"),
    (lambda: ours.WeightedRandomSampler([1.0], 0), ValueError, "num_samples"), (lambda: ours.WeightedRandomSampler([1.0], True), ValueError, "num_samples"),
    (lambda: ours.WeightedRandomSampler([1.0], 1, None), ValueError, "True or False"), (lambda: ours.WeightedRandomSampler([[1.0]], 1), ValueError, r"got shape \(1, 1\)"),
    (lambda: ours.BatchSampler(range(3), 0, False), ValueError, "batch_size of 1 or more, got 0"), (lambda: ours.BatchSampler(range(3), 2.0, False), ValueError, "got 2.0"),
    (lambda: ours.BatchSampler(range(3), True, False), ValueError, "got True"), (lambda: ours.BatchSampler(range(3), 2, 0), ValueError, "drop_last=True or False"),
])
def test_refusals(make, error, why):
    with pytest.raises(error, match=why): make()


def test_samplers_travel():
    for name, make in MAKERS.items():
        sampler = make(ours, generator())
        assert list(pickle.loads(pickle.dumps(sampler))) == list(copy.deepcopy(sampler)) == list(sampler), name
