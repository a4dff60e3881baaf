"Lesson 17: photos as batches, weights that are whole or not used, heads, groups that stand still, rates."
import pytest, torch
import torch.nn.functional as F
from torch import nn
from lesson_nb import transfer
from lesson_nb.data import get_dls
from lesson_nb.data_catalog import Unavailable
from lesson_nb.learner import Learner
from lesson_nb.normalization import FreezeBatchNorm
from lesson_nb.resnet18 import resnet18
from lesson_nb.samplers import TensorDataset
from lesson_nb.transfer import (KINDS, ConcatPool2d, concat_head, conv_head, cut_head, freeze_to, group_params, imagenet_resnet18, keep_weights,
                                layer_groups, normalized, pretrained, small_net, spread_rates, squared)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    "An empty cache of its own, and a say_once that has said nothing yet."
    monkeypatch.setenv("LESSON_NB_CACHE", str(tmp_path))
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    monkeypatch.setattr(transfer, "say_once", print)
    return tmp_path


def photo(height, width, seed=0): return torch.randint(256, (3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("size", [8, 50])
def test_squared_takes_photos_of_any_shape(size):
    photos = [photo(40, 60), photo(50, 30, 1), photo(size, size, 2)]
    batch = squared(photos, size)
    assert batch.shape == (3, 3, size, size) and batch.dtype == torch.float32
    for made, given in zip(batch, photos): torch.testing.assert_close(made, F.interpolate(given[None] / 255, (size, size), mode="area")[0])
    assert torch.equal(batch[2], photos[2] / 255)
    assert squared([], size).shape == (0, 3, size, size)


@pytest.mark.parametrize("wrong", [torch.zeros(3, 8, 8), photo(8, 8)[0], photo(8, 8)[:1]])
def test_squared_refuses_what_is_no_photo(wrong):
    with pytest.raises(ValueError, match=r"squared: expected photos \(3, height, width\) of bytes"): squared([photo(8, 8), wrong], 4)


def test_normalized_by_the_published_figures():
    x = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    expected = torch.stack([(x[:, c] - m) / s for c, (m, s) in enumerate(zip((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)))], 1)
    torch.testing.assert_close(normalized(x), expected, rtol=1e-6, atol=1e-6)
    assert normalized(x).dtype == torch.float64 and normalized(x[:1].float().mT).shape == (1, 3, 5, 4)


@pytest.mark.parametrize("name", KINDS)
def test_shipped_weights_are_small_whole_and_used(cache, name):
    network = pretrained(name)
    assert not network.training and network(torch.randn(2, 3, 32, 32)).shape == (2, KINDS[name])
    assert all(value.isfinite().all() and value.dtype in (torch.float32, torch.int64) for value in network.state_dict().values())
    path = transfer.Path(str(transfer.files("lesson_nb") / "weights" / f"{name}.pt"))
    assert path.stat().st_size < 2_000_000 and not list(cache.rglob("*.pt"))
    assert not torch.equal(network[0].weight, pretrained([n for n in KINDS if n != name][0])[0].weight)


def test_own_weights_come_first_and_survive_the_rounding(cache):
    torch.manual_seed(1)
    network = small_net().eval()
    path = keep_weights(network, "cifar10")
    assert path.parent.parent == cache and path.stat().st_size < 1_100_000
    back = pretrained()
    for key, value in network.state_dict().items(): torch.testing.assert_close(back.state_dict()[key], value, rtol=2**-11, atol=2**-24)
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(back(x), network(x), rtol=0.02, atol=0.02)


def other_network(path): transfer.save_state(small_net(8).state_dict(), path)
def other_names(path): transfer.save_state({"a": torch.ones(2)}, path)
def no_state(path): transfer.save_state([1, 2], path)
def cut_short(path): path.write_bytes(path.read_bytes()[:-100])
def one_byte_changed(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
def foreign(path): torch.save(small_net().state_dict(), path)
def empty(path): path.write_bytes(b"")
def folder(path): path.unlink(), path.mkdir()


@pytest.mark.parametrize("break_it", [cut_short, one_byte_changed, foreign, empty, other_network, other_names, no_state, folder])
def test_what_is_not_whole_is_said_and_not_used(cache, break_it, capsys):
    shipped = pretrained().state_dict()
    break_it(keep_weights(small_net(), "cifar10"))
    torch.testing.assert_close(pretrained().state_dict(), shipped, rtol=0, atol=0)
    assert "pretrained: cifar10.pt in the cache is not used: " in capsys.readouterr().out


def test_pretrained_refuses_other_names(cache):
    with pytest.raises(ValueError, match="expected one of 'cifar10', 'cifar10-without-pets', got 'imagenet'"): pretrained("imagenet")


def test_imagenet_offline_and_with_a_wrong_file(cache, monkeypatch):
    with pytest.raises(Unavailable, match="LESSON_NB_OFFLINE"): imagenet_resnet18()
    path = cache / "weights" / transfer.RESNET18.name
    path.parent.mkdir()
    path.write_bytes(b"half a download")
    with pytest.raises(Unavailable): imagenet_resnet18()
    torch.manual_seed(0)
    theirs = resnet18()
    torch.save(theirs.state_dict(), path)
    monkeypatch.setattr(transfer, "RESNET18", transfer.RESNET18._replace(sha256=transfer.sha256_of(path)))
    ours = imagenet_resnet18()
    assert not ours.training
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_body_and_rest_make_the_network():
    network, x = small_net(4).eval(), torch.randn(2, 3, 40, 24)
    body = cut_head(network)
    assert body(x).shape == (2, 128, 5, 3) and body[0] is network[0]
    torch.testing.assert_close(network[len(body):](body(x)), network(x))
    big = resnet18(num_classes=3).eval()
    torch.testing.assert_close(big.fc(cut_head(big)(x).mean((2, 3))), big(x))
    with pytest.raises(ValueError, match="expected an adaptive pool .* got Linear, ReLU"): cut_head(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))


@pytest.mark.parametrize("n", [1, 5])
def test_heads(n):
    torch.manual_seed(0)
    x = torch.randn(n, 6, 4, 5, dtype=torch.float64).mT
    head = conv_head(6, 3).double()
    expected = F.log_softmax(F.conv2d(x, head[0].weight, head[0].bias, padding=1).mean((2, 3)), 1)
    torch.testing.assert_close(head(x), expected)
    pooled = ConcatPool2d()(x)
    torch.testing.assert_close(pooled, torch.cat([F.adaptive_max_pool2d(x, 1), F.adaptive_avg_pool2d(x, 1)], 1))
    other = concat_head(6, 3, hidden=7, dropout=0.5).double().eval()
    assert other[4].in_features == 12 and other[4].out_features == 7 and other[3].p == 0.5
    hidden = F.relu(F.linear(F.batch_norm(pooled.flatten(1), other[2].running_mean, other[2].running_var), other[4].weight, other[4].bias))
    torch.testing.assert_close(other(x), F.log_softmax(F.linear(hidden, other[6].weight, other[6].bias), 1))


def photo_net(): return nn.Sequential(cut_head(small_net()), conv_head(128))


def test_groups_hold_every_parameter_once():
    network = photo_net()
    groups = layer_groups(network)
    assert [len(group) for group in groups] == [4, 3, 3, 4] and groups[-1] is network[1]
    found = [p for group in group_params(groups) for p in group["params"]]
    assert len(found) == len(set(map(id, found))) and set(map(id, found)) == set(map(id, network.parameters()))
    assert len(layer_groups(network, ())) == 2 and len(layer_groups(network, range(1, 10))) == 11
    for cuts in ((0,), (10,), (4, 4), (7, 4)):
        with pytest.raises(ValueError, match="cuts that rise from 1 to 9"): layer_groups(network, cuts)


@pytest.mark.parametrize("count, standing", [(0, 0), (1, 1), (3, 3), (-1, 3), (-3, 1), (-4, 0)])
def test_freeze_to(count, standing):
    groups = layer_groups(photo_net())
    freeze_to(groups, -1)
    freeze_to(groups, count)          # thaws as well
    assert [all(p.requires_grad for p in group.parameters()) for group in groups] == [i >= standing for i in range(4)]
    assert [any(p.requires_grad for p in group.parameters()) for group in groups] == [i >= standing for i in range(4)]


@pytest.mark.parametrize("count", [4, 5, -5])
def test_freeze_to_leaves_something_to_learn(count):
    groups = layer_groups(photo_net())
    with pytest.raises(ValueError, match="fewer than all 4 groups"): freeze_to(groups, count)
    assert all(p.requires_grad for group in groups for p in group.parameters())


def test_only_thawed_groups_learn_each_at_its_rate():
    torch.manual_seed(0)
    network = photo_net()
    groups = layer_groups(network)
    data = TensorDataset(torch.randn(8, 3, 32, 32), torch.arange(8) % 2)
    learner = Learner(network, get_dls(data, data, batch_size=4), nn.NLLLoss(), lambda p, lr: torch.optim.SGD(p, lr), 0.1, [FreezeBatchNorm()],
                      splitter=lambda network: group_params(groups))
    for count in (-1, -2, 0):
        before = {key: value.clone() for key, value in network.state_dict().items()}
        freeze_to(groups, count)
        learner.fit(1, lr=spread_rates(0.1, 4))
        assert [group["lr"] for group in learner.opt.param_groups] == spread_rates(0.1, 4)
        standing = [part for group in groups[:count] for part in group.state_dict(keep_vars=True).values()]
        for key, value in network.state_dict(keep_vars=True).items():
            moved = not torch.equal(value, before[key])
            assert moved != any(value is s for s in standing), key


def test_spread_rates():
    assert spread_rates(8, 4, 2) == [1, 2, 4, 8] and spread_rates(0.5, 1) == [0.5]
    for wrong in ((0.1, 0), (0.1, 3, 0), (0.1, 3, -2)):
        with pytest.raises(ValueError, match="one group or more and a factor above 0"): spread_rates(*wrong)
