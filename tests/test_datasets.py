"""Data: whole or not at all, from hostile servers, archives and folders; the loaders, on real data and on stand-ins."""
import ast, contextlib, errno, gzip, hashlib, io, os, pickle, re, socket, stat, subprocess, sys, tarfile, threading, time, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import numpy as np, pytest, torch
from lesson_nb import data_catalog, data_fetching, datasets as loaders
from lesson_nb.data_catalog import DataError, CatalogEntry, File, Unavailable, cache_folder, data_folder, datasets, files_in, list_datasets, where_is
from lesson_nb.data_fetching import fetch, kept, locate, plain_bytes, record_of, replacing, sha256_of, unpack

REAL = os.environ.get("LESSON_NB_DATA")  # as given to this test run; the tests themselves set and unset it
PAYLOAD = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()
LOADERS = {name: getattr(loaders, f"load_{name}") for name in (
    "mnist", "fashion_mnist", "cifar10", "nietzsche", "tiny_shakespeare", "english_french", "cats_and_dogs", "house_prices", "rossmann", "style_pictures")}


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    "Every test starts with an empty cache, no data folder, the network allowed, and nothing said yet."
    monkeypatch.setenv("LESSON_NB_CACHE", str(tmp_path/"cache"))
    monkeypatch.delenv("LESSON_NB_DATA", raising=False)
    monkeypatch.delenv("LESSON_NB_OFFLINE", raising=False)
    monkeypatch.setattr(data_fetching, "_said", set())


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory): return tmp_path_factory.mktemp("shared cache")


# a server that misbehaves

class Misbehaving(BaseHTTPRequestHandler):
    "Each path is one way to deliver PAYLOAD, or not to."
    def log_message(self, *arguments): pass

    def do_GET(self):
        path, n = self.path.strip("/"), len(PAYLOAD)
        if path.isdigit(): return self.send_error(int(path))
        if path in ("redirect", "loop"):
            self.send_response(302)
            self.send_header("Location", "/whole" if path == "redirect" else "/loop")
            return self.end_headers()
        self.send_response(200)
        if path == "bad-length": self.send_header("Content-Length", "many")
        elif path not in ("early", "silent-early"): self.send_header("Content-Length", str(n))
        self.end_headers()
        body = {"corrupt": PAYLOAD[:1000] + b"!" + PAYLOAD[1001:], "apology": b"<html>sorry</html>".ljust(n)}.get(path, PAYLOAD)
        with contextlib.suppress(OSError):
            if path == "stall":
                self.wfile.write(body[:n//2])
                time.sleep(3)
            elif path == "slow":
                for at in range(0, n, 10_000):
                    self.wfile.write(body[at:at + 10_000])
                    time.sleep(.05)
            else: self.wfile.write(body[:n//2] if path in ("truncate", "early") else body)
        self.close_connection = True


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def wanted(address, *paths, sha256=SHA256, name="file.bin", size=len(PAYLOAD)): return File(name, size, sha256, tuple(f"{address}/{path}" for path in paths))


ANSWERS = {"truncate": "broke off", "early": "bytes instead of", "corrupt": "sha256", "apology": "sha256", "stall": "timed out", "404": "HTTP 404",
           "500": "HTTP 500", "loop": "broke off", "bad-length": "broke off"}


@pytest.mark.parametrize("way", ANSWERS)
def test_bad_mirror_leaves_nothing_and_the_next_is_asked(address, tmp_path, monkeypatch, way):
    monkeypatch.setattr(data_fetching, "timeouts", (2, .5))
    with pytest.raises(Unavailable, match=ANSWERS[way]): fetch(wanted(address, way), tmp_path/"here")
    assert os.listdir(tmp_path/"here") == []
    assert fetch(wanted(address, way, "whole"), tmp_path/"here") == SHA256
    assert os.listdir(tmp_path/"here") == ["file.bin"] and (tmp_path/"here"/"file.bin").read_bytes() == PAYLOAD


def test_redirect_is_followed(address, tmp_path):
    assert fetch(wanted(address, "redirect"), tmp_path) == SHA256


def test_closed_port_and_unknown_host_are_bad_mirrors(address, tmp_path):
    with socket.socket() as free: free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]
    file = File("file.bin", 0, SHA256, (f"http://127.0.0.1:{port}/x", "http://no-such-host.invalid/x", f"{address}/whole"))
    assert fetch(file, tmp_path) == SHA256


def test_error_names_every_mirror(address, tmp_path, monkeypatch):
    with pytest.raises(Unavailable, match=r"file\.bin.*HTTP 404.*sha256"): fetch(wanted(address, "404", "corrupt"), tmp_path)


@pytest.fixture
def toy(address, monkeypatch):
    "A data set of one file in the catalogue; call it to say which mirrors it has."
    def register(*paths, **settings):
        monkeypatch.setitem(datasets, "toy", CatalogEntry("toy", "Toy", ((wanted(address, *paths, **settings),),), "none", "nobody", "a toy"))
        return cache_folder()/"toy"/settings.get("name", "file.bin")
    return register


def test_spoiled_file_in_the_cache_is_never_taken_for_good(toy, capsys):
    path = toy("whole")
    locate("toy")
    for spoiled in (PAYLOAD[:-1], PAYLOAD[:-1] + b"?", b""):
        path.write_bytes(spoiled)
        assert locate("toy")["file.bin"].path.read_bytes() == PAYLOAD
    assert "not whole" in capsys.readouterr().out


def test_whole_file_in_the_cache_needs_no_network(toy, monkeypatch):
    toy("whole")
    locate("toy")
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    assert locate("toy")["file.bin"].sha256 == SHA256
    toy("404").write_bytes(b"half")
    with pytest.raises(Unavailable, match="OFFLINE"): locate("toy")


# where no checksum is known

def packed(text=b"a,b\n1,2\n"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo("data.csv")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return file.getvalue()


def test_first_checksum_is_recorded_said_and_held(toy, capsys, monkeypatch):
    path = toy("whole", sha256="", name="data.tgz", size=0)
    for payload in (packed()[:-30], b"<html>sorry</html>", packed()):  # half an archive, no archive, an archive
        monkeypatch.setitem(globals(), "PAYLOAD", payload)
        with contextlib.suppress(Unavailable): locate("toy")
        assert path.exists() == record_of(path).exists() == (payload == packed()[:0] + payload and payload[:2] == b"\x1f\x8b" and len(payload) > len(packed()) - 20)
    assert "no official checksum is known" in capsys.readouterr().out
    assert record_of(path).read_text() == sha256_of(path)
    locate("toy")
    assert capsys.readouterr().out == ""
    path.write_bytes(b"spoiled")
    monkeypatch.setitem(globals(), "PAYLOAD", packed(b"other"))
    with pytest.raises(Unavailable, match="recorded"): locate("toy")


# other processes

FETCH = "import sys; from pathlib import Path; from lesson_nb.data_catalog import File; from lesson_nb.data_fetching import fetch; " \
        "print(fetch(File('file.bin', int(sys.argv[2]), sys.argv[3], (sys.argv[1],)), Path(sys.argv[4])))"


def fetching(url, folder, before=""):
    return subprocess.Popen([sys.executable, "-c", before + FETCH, url, str(len(PAYLOAD)), SHA256, str(folder)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent, env=os.environ | {"LESSON_NB_OFFLINE": ""})


def test_two_processes_at_once(address, tmp_path):
    both = [fetching(f"{address}/slow", tmp_path) for _ in range(2)]
    for process in both:
        out, error = process.communicate(timeout=60)
        assert out.strip() == SHA256, error
    assert os.listdir(tmp_path) == ["file.bin"] and sha256_of(tmp_path/"file.bin") == SHA256


def test_killed_in_the_middle(address, tmp_path):
    process = fetching(f"{address}/slow", tmp_path)
    deadline = time.time() + 60
    while not [p for p in tmp_path.glob(".*.part") if p.stat().st_size] and time.time() < deadline: time.sleep(.02)
    process.kill()
    process.communicate()
    [left] = os.listdir(tmp_path)
    assert left.endswith(".part") and 0 < (tmp_path/left).stat().st_size < len(PAYLOAD)
    assert fetch(wanted(address, "whole"), tmp_path) == SHA256 and len(os.listdir(tmp_path)) == 2  # a part may still belong to somebody
    os.utime(tmp_path/left, (0, 0))
    fetch(wanted(address, "whole"), tmp_path)
    assert os.listdir(tmp_path) == ["file.bin"]


def test_interrupted_by_hand(address, tmp_path, monkeypatch):
    def interrupt(*arguments): raise KeyboardInterrupt
    monkeypatch.setattr(data_fetching, "_verify", interrupt)
    with pytest.raises(KeyboardInterrupt): fetch(wanted(address, "whole"), tmp_path)
    assert os.listdir(tmp_path) == []


# a cache that is full or cannot be written

@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes to set")
def test_full_disk(address, tmp_path):
    "The operating system refuses the 100,001st byte."
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
    out, error = fetching(f"{address}/whole", tmp_path, limit).communicate(timeout=60)
    assert "Unavailable: the cache cannot be written" in error and os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_error_of_the_disk_is_not_blamed_on_the_mirror(address, tmp_path, monkeypatch, number):
    import pooch
    def write(self, url, file, _): file.write(b"some"); raise OSError(number, os.strerror(number))
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", write)
    with pytest.raises(Unavailable, match=f"cache cannot be written.*{os.strerror(number)}"): fetch(wanted(address, "whole", "whole"), tmp_path)
    assert os.listdir(tmp_path) == []


def test_error_of_the_network_is_not_blamed_on_the_disk(address, tmp_path, monkeypatch):
    "Should one get through pooch and requests with a number of the operating system."
    import pooch
    plain = pooch.HTTPDownloader.__call__
    def once(self, url, file, _):
        if url.endswith("first"): raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return plain(self, url, file, None)
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", once)
    assert fetch(wanted(address, "first", "whole"), tmp_path) == SHA256


def test_cache_below_a_file(address, tmp_path, monkeypatch, capsys):
    "No right in the world lets one create a folder inside a file, so this holds for root too."
    (tmp_path/"a file").write_text("")
    monkeypatch.setenv("LESSON_NB_CACHE", str(tmp_path/"a file"/"cache"))
    with pytest.raises(Unavailable, match="cache cannot be written"): fetch(wanted(address, "whole"), cache_folder())
    assert kept("key", lambda: b"made").tobytes() == b"made" and "could not be kept" in capsys.readouterr().out
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    assert loaders.load_house_prices().source == "stand-in" and where_is("mnist") == "stand-in"


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere: test_cache_below_a_file stands for it")
def test_read_only_cache(address, tmp_path, monkeypatch):
    monkeypatch.setenv("LESSON_NB_CACHE", str(tmp_path))
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(Unavailable, match="cache cannot be written"): fetch(wanted(address, "whole"), tmp_path/"here")
        assert kept("key", lambda: b"made").tobytes() == b"made"
    finally: tmp_path.chmod(0o700)


# kept

def test_kept_is_made_again_when_it_was_altered():
    made = []
    def make(): made.append(1); return np.arange(100, dtype=np.uint8)
    path = cache_folder()/"made"/"key"
    kept("key", make)
    for spoil in (lambda data: data, lambda data: data[:-1], lambda data: b"", lambda data: data[:50] + b"?" + data[51:], lambda data: data[:31]):
        path.write_bytes(spoil(path.read_bytes()))
        assert kept("key", make).tolist() == list(range(100))
    assert len(made) == 1 + 4 and os.listdir(cache_folder()/"made") == ["key"]


def test_kept_array_can_be_written_to():
    for _ in range(2): kept("key", lambda: b"abc")[0] = 0
    assert kept("key", lambda: b"").tobytes() == b"abc"


def test_replacing_keeps_the_old_file_when_it_fails(tmp_path):
    (tmp_path/"file").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path/"file") as file:
        file.write(b"new")
        1/0
    assert (tmp_path/"file").read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


# archives

def tar_with(name, kind=tarfile.REGTYPE, link="", mode="w"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for info in (tarfile.TarInfo("good.txt"), tarfile.TarInfo(name)):
            info.type, info.linkname, info.size = (kind, link, 0) if info.name == name else (tarfile.REGTYPE, "", 4)
            if info.isreg(): info.size = 4
            archive.addfile(info, io.BytesIO(b"evil"[:info.size]))
    return file.getvalue()


def zip_with(name, mode=0):
    file, info = io.BytesIO(), zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("good.txt", b"good")
        archive.writestr(info, b"evil")
    return file.getvalue()


HOSTILE = {
    "climbs": ("a.tar", tar_with("../evil")), "climbs inside": ("a.tar", tar_with("good/../../evil")), "absolute": ("a.tar", tar_with("/tmp/evil")),
    "backslashes": ("a.tar", tar_with("..\\evil")), "drive": ("a.tar", tar_with("C:\\evil")), "symbolic link": ("a.tar", tar_with("evil", tarfile.SYMTYPE, "/etc")),
    "hard link": ("a.tar", tar_with("evil", tarfile.LNKTYPE, "../outside")), "device": ("a.tar", tar_with("evil", tarfile.CHRTYPE)),
    "pipe": ("a.tar", tar_with("evil", tarfile.FIFOTYPE)), "climbs, gz": ("a.tgz", tar_with("../evil", mode="w:gz")), "climbs, zip": ("a.zip", zip_with("../evil")),
    "absolute, zip": ("a.zip", zip_with("/tmp/evil")), "link, zip": ("a.zip", zip_with("evil", stat.S_IFLNK | 0o777)), "folder outside": ("a.tar", tar_with("../up", tarfile.DIRTYPE)),
}


@pytest.mark.parametrize("way", HOSTILE)
def test_hostile_archive_is_refused(tmp_path, monkeypatch, way):
    name, data = HOSTILE[way]
    (tmp_path/"inside").mkdir()
    monkeypatch.chdir(tmp_path/"inside")
    Path(name).write_bytes(data)
    with pytest.raises(DataError, match="such an archive is not read"): dict(unpack(Path(name)))
    assert sorted(p.name for p in tmp_path.rglob("*")) == sorted([name, "inside"])


def test_archive_that_swells_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive: archive.writestr("zeros", bytes(10_000_000))
    with pytest.raises(DataError, match="makes more than 1,000,000 bytes"): list(unpack(file, "a.zip", limit=1_000_000))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_half_an_archive_is_an_error_that_names_it(mode):
    data = tar_with("x", mode=mode)
    assert dict(unpack(io.BytesIO(data), "a.tar"))["good.txt"] == b"evil"
    for end in (10, 514 if mode == "w" else len(data)//3):
        with pytest.raises(DataError, match="a.tar is damaged"): dict(unpack(io.BytesIO(data[:end]), "a.tar"))
    with pytest.raises(DataError, match="b.zip is damaged"): dict(unpack(io.BytesIO(zip_with("x")[:-10]), "b.zip"))


# pickles

class Bomb:
    def __init__(self, path): self.path = path
    def __reduce__(self): return Path.touch, (self.path,)


def test_no_pickle_is_ever_run(tmp_path, monkeypatch):
    bomb = pickle.dumps({"data": Bomb(tmp_path/"it ran"), "labels": []})
    pickle.loads(bomb)
    assert (tmp_path/"it ran").exists()  # the bomb is real
    (tmp_path/"it ran").unlink()
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    for name in data_catalog.batch_names:
        path = tmp_path/"cifar10"/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bomb)
    with pytest.raises(DataError, match="six batches of 30,730,000 bytes"): loaders.load_cifar10()
    for file in datasets["mnist"].forms[0]:
        (tmp_path/"mnist").mkdir(exist_ok=True)
        (tmp_path/"mnist"/file.name).write_bytes(gzip.compress(bomb))
    with pytest.raises(DataError, match="no idx file"): loaders.load_mnist()
    (cache_folder()/"made").mkdir(parents=True)
    (cache_folder()/"made"/"key").write_bytes(bomb)
    assert kept("key", lambda: b"made").tobytes() == b"made"
    assert not (tmp_path/"it ran").exists()


def test_nothing_in_the_modules_can_load_a_pickle_or_run_text():
    for module in ("data_catalog", "data_fetching", "datasets", "standins", "standins_written"):
        tree = ast.parse((Path(loaders.__file__).parent/f"{module}.py").read_text())
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        imported = {a.name for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
        assert not (names | imported) & {"pickle", "load", "loads", "read_pickle", "eval", "exec", "extractall", "extract", "shelve", "marshal"}


# folders

def test_named_folder_that_is_missing_is_an_error_for_every_loader(monkeypatch, tmp_path):
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path/"gone"))
    for load in LOADERS.values():
        with pytest.raises(DataError, match="LESSON_NB_DATA is set to .*gone") as error: load()
        assert not isinstance(error.value, Unavailable)
    with pytest.raises(DataError): list_datasets()


def idx(array): return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def small_idx_files(packing):
    rng = np.random.default_rng(0)
    return {file.name: packing(idx(rng.integers(0, 10, (60_000 if "train" in file.name else 10_000,) + ((28, 28) if "images" in file.name else ()), dtype=np.uint8)))
            for file in datasets["mnist"].forms[0]}


@pytest.fixture(scope="module")
def other_mnist(): return small_idx_files(lambda data: data)


@pytest.mark.parametrize("layout", ["packed", "unpacked"])
def test_unofficial_files_are_used_with_a_notice(other_mnist, tmp_path, monkeypatch, capsys, layout):
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    (tmp_path/"mnist").mkdir()
    for name, data in other_mnist.items():
        if layout == "packed": (tmp_path/"mnist"/name).write_bytes(gzip.compress(data, 0))
        else: (tmp_path/"mnist"/name.removesuffix(".gz")).write_bytes(data)
    mnist = loaders.load_mnist()
    assert mnist.source == "real" and mnist.train_labels.tolist() == list(other_mnist["train-labels-idx1-ubyte.gz"][8:])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and "not known as the official bytes" in lines[0] and "and 3 more" in lines[0] and str(tmp_path) not in lines[0]
    assert loaders.load_mnist() and capsys.readouterr().out == "" and where_is("mnist") == "LESSON_NB_DATA"


def test_damaged_file_in_the_folder_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    (tmp_path/"mnist").mkdir()
    for file in datasets["mnist"].forms[0]: (tmp_path/"mnist"/file.name).write_bytes(gzip.compress(b"x"*99)[:-9])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be read") as error: loaders.load_mnist()
    assert not isinstance(error.value, Unavailable)


def test_half_a_set_is_not_a_set(tmp_path):
    (tmp_path/"mnist").mkdir()
    for file in datasets["mnist"].forms[0][:3]: (tmp_path/"mnist"/file.name).touch()
    assert files_in(datasets["mnist"], tmp_path) is None


def test_loose_files_count_only_where_their_owner_is_known(tmp_path):
    for name in ("train.csv", "test.csv", "store.csv", "nietzsche.txt", "data_batch_1.bin"): (tmp_path/name).touch()
    for file in datasets["mnist"].forms[0]:
        with open(tmp_path/file.name, "wb") as empty: empty.truncate(file.size)
    found = {name for name, dataset in datasets.items() if files_in(dataset, tmp_path)}
    assert found == {"nietzsche", "mnist"}


def test_cifar_batches_are_found_without_their_folder(tmp_path):
    (tmp_path/"cifar10").mkdir()
    for name in data_catalog.batch_names: (tmp_path/"cifar10"/Path(name + ".xz").name).touch()
    assert len(files_in(datasets["cifar10"], tmp_path)) == 6


def test_home_in_the_names_of_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path/"data").mkdir()
    monkeypatch.setenv("LESSON_NB_DATA", "~/data")
    monkeypatch.setenv("LESSON_NB_CACHE", "~/cache")
    assert data_folder() == tmp_path/"data" and cache_folder() == tmp_path/"cache"
    monkeypatch.delenv("LESSON_NB_CACHE")
    assert "lesson_nb" in str(cache_folder())


# offline

@pytest.fixture
def no_sockets(monkeypatch):
    calls = []
    def forbidden(*arguments, **keywords): calls.append(arguments); raise AssertionError("a socket was asked for")
    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname", "socketpair"): monkeypatch.setattr(socket, name, forbidden)
    return calls


def test_planted_socket_call_is_seen(no_sockets):
    with pytest.raises(AssertionError): socket.create_connection(("127.0.0.1", 1))
    assert len(no_sockets) == 1


def test_offline_makes_no_socket_call(no_sockets, monkeypatch, shared_cache, capsys):
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    monkeypatch.setenv("LESSON_NB_CACHE", str(shared_cache))
    list_datasets()
    for name, load in LOADERS.items():
        capsys.readouterr()
        assert load().source == "stand-in"
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1 and "a stand-in" in lines[0] and "LESSON_NB_DATA" in lines[0] and "LESSON_NB_OFFLINE" in lines[0], (name, lines)
    assert no_sockets == []


def test_listing_needs_no_network(no_sockets, capsys):
    list_datasets()
    out = capsys.readouterr().out
    assert all(name in out and dataset.licence in out for name, dataset in datasets.items()) and no_sockets == []


def test_a_loader_downloads_checks_and_reads(address, monkeypatch, capsys):
    text = "First Citizen:\nBefore we proceed any further, hear me speak.\n".encode()
    monkeypatch.setitem(globals(), "PAYLOAD", text)
    file = File("input.txt", len(text), hashlib.sha256(text).hexdigest(), (f"{address}/truncate", f"{address}/whole"))
    monkeypatch.setitem(datasets, "tinyshakespeare", datasets["tinyshakespeare"]._replace(forms=((file,),)))
    assert where_is("tinyshakespeare") == "download"
    assert loaders.load_tiny_shakespeare() == (text.decode(), "real") and where_is("tinyshakespeare") == "cache"
    assert loaders.load_tiny_shakespeare().source == "real" and capsys.readouterr().out == ""


def test_when_every_mirror_fails_the_stand_in_tells_why(address, monkeypatch, capsys):
    file = datasets["house-prices"].forms[0][0]._replace(urls=(f"{address}/500",))
    monkeypatch.setitem(datasets, "house-prices", datasets["house-prices"]._replace(forms=((file,),)))
    assert loaders.load_house_prices().source == "stand-in" and "HTTP 500" in capsys.readouterr().out


# the loaders, in both modes

def test_reading_real_data_is_fast(monkeypatch, shared_cache):
    """In processor seconds of all threads, so that a busy machine does not count: 15 on each of two cores to unpack, else the best of five.
    It comes before the tests that fill the shared cache."""
    if not REAL: pytest.skip("LESSON_NB_DATA is not set, so there are no real data to test with")
    monkeypatch.setenv("LESSON_NB_DATA", REAL)
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    monkeypatch.setenv("LESSON_NB_CACHE", str(shared_cache))
    def seconds(load):
        started = time.process_time()
        load()
        return time.process_time() - started
    assert min(seconds(loaders.load_mnist) for _ in range(5)) <= 1
    assert seconds(loaders.load_cifar10) <= 2*15
    assert min(seconds(loaders.load_cifar10) for _ in range(5)) <= 1


@pytest.fixture(params=["real", "stand-in"])
def mode(request, monkeypatch, shared_cache):
    monkeypatch.setenv("LESSON_NB_OFFLINE", "1")
    monkeypatch.setenv("LESSON_NB_CACHE", str(shared_cache))
    if request.param == "real":
        if not REAL: pytest.skip("LESSON_NB_DATA is not set, so there are no real data to test with")
        monkeypatch.setenv("LESSON_NB_DATA", REAL)
    return request.param


def load_or_skip(name, mode):
    data = LOADERS[name]()
    if mode == "real" and data.source != "real": pytest.skip(f"LESSON_NB_DATA has no {name}")
    assert data.source == mode
    return data


@pytest.mark.parametrize("name, train, shape", [("mnist", 60_000, (28, 28)), ("fashion_mnist", 60_000, (28, 28)), ("cifar10", 50_000, (3, 32, 32))])
def test_images(mode, name, train, shape):
    data = load_or_skip(name, mode)
    assert data.train_images.shape == (train, *shape) and data.test_images.shape == (10_000, *shape)
    assert data.train_images.dtype == data.test_images.dtype == torch.float32 and data.train_labels.dtype == data.test_labels.dtype == torch.int64
    assert data.train_images.is_contiguous() and float(data.train_images.min()) == 0 and float(data.train_images.max()) == 1
    for labels in (data.train_labels, data.test_labels): assert labels.bincount().numel() == 10 and labels.bincount().min() > .08*len(labels)
    assert len(data.class_names) == 10 and len(data.train_labels) == train
    data.train_images[0] = 0  # a learner may change what it got ...
    assert LOADERS[name]().train_images[0].max() > 0  # ... without changing what is loaded next


def test_real_figures(mode):
    "What is known about the real sets: class counts and channel means."
    if mode == "stand-in": pytest.skip("about the real data only")
    mnist, cifar = load_or_skip("mnist", mode), load_or_skip("cifar10", mode)
    assert mnist.train_labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert abs(mnist.train_images.mean() - .1307) < 1e-4 and mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    torch.testing.assert_close(cifar.train_images.mean((0, 2, 3)), torch.tensor([.4914, .4822, .4465]), atol=1e-4, rtol=0)
    assert cifar.train_labels[:10_000].bincount().tolist() == [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    assert cifar.class_names[:2] == ("airplane", "automobile")


def test_text(mode):
    nietzsche, shakespeare = load_or_skip("nietzsche", mode), load_or_skip("tiny_shakespeare", mode)
    assert len(nietzsche.text) == 600_893 and len(shakespeare.text) == 1_115_394 and 55 < len(set(shakespeare.text)) <= 65
    pairs = load_or_skip("english_french", mode).pairs
    assert len(pairs) == 142_787 and all(len(pair) == 2 and all(pair) for pair in pairs) and len(pairs[0][0]) < 12 < len(pairs[-1][0])


def test_photos(mode):
    photos = load_or_skip("cats_and_dogs", mode)
    assert len(photos.train_images) == 1000 and len(photos.test_images) == 400 and photos.class_names == ("cat", "dog")
    assert photos.train_labels.bincount().tolist() == [500, 500] and photos.test_labels.bincount().tolist() == [200, 200]
    for image in photos.train_images + photos.test_images: assert image.dtype == torch.uint8 and image.shape[0] == 3 and min(image.shape[1:]) <= 160
    assert len({tuple(image.shape) for image in photos.train_images}) > 20
    style = load_or_skip("style_pictures", mode)
    assert style.content.shape == (3, 1365, 2048) and style.style.shape == (3, 512, 512) and style.content.dtype == torch.float32


def test_tables(mode):
    import pandas as pd
    houses = load_or_skip("house_prices", mode)
    assert houses.train.shape == (1460, 81) and houses.test.shape == (1459, 80) and houses.target == "SalePrice" and list(houses.test) == list(houses.train)[:-1]
    numbers = [name for name, kind in houses.train.dtypes.items() if pd.api.types.is_numeric_dtype(kind)]
    assert len(numbers) == 38 and houses.train["Alley"].isna().mean() > .9 and houses.train["GarageYrBlt"].isna().any() and houses.train["SalePrice"].dtype == "int64"


ROSSMANN = {"train": "Store DayOfWeek Date Sales Customers Open Promo StateHoliday SchoolHoliday", "test": "Id Store DayOfWeek Date Open Promo StateHoliday SchoolHoliday",
            "store": "Store StoreType Assortment CompetitionDistance CompetitionOpenSinceMonth CompetitionOpenSinceYear Promo2 Promo2SinceWeek Promo2SinceYear PromoInterval"}
MADE_ROSSMANN = {
    "train": '"Store","DayOfWeek","Date","Sales","Customers","Open","Promo","StateHoliday","SchoolHoliday"\n1,5,2015-07-31,5263,555,1,1,"0","1"\n1,3,2013-01-01,0,0,0,0,"a","1"\n',
    "test": '"Id","Store","DayOfWeek","Date","Open","Promo","StateHoliday","SchoolHoliday"\n1,1,4,2015-09-17,1,1,"0","0"\n2,622,4,2015-09-17,,1,"0","0"\n',
    "store": '"Store","StoreType","Assortment","CompetitionDistance","CompetitionOpenSinceMonth","CompetitionOpenSinceYear","Promo2","Promo2SinceWeek","Promo2SinceYear","PromoInterval"\n'
             '1,"c","a",1270,9,2008,0,,,""\n2,"a","a",570,11,2007,1,13,2010,"Jan,Apr,Jul,Oct"\n'}


@pytest.mark.parametrize("layout", ["kaggle", "fast.ai"])
def test_rossmann_in_both_layouts_of_the_real_download(tmp_path, monkeypatch, layout):
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    (tmp_path/"rossmann").mkdir()
    files = {f"{name}.csv": text.encode() for name, text in MADE_ROSSMANN.items()}
    if layout == "kaggle":
        for name, data in files.items(): (tmp_path/"rossmann"/name).write_bytes(data)
    else:
        files |= {"weather.csv": b"file,Date,Mean_TemperatureC\nBerlin,2013-01-01,4\n", "store_states.csv": b"Store,State\n1,HE\n", "sample_submission.csv": b"Id,Sales\n1,0\n"}
        with tarfile.open(tmp_path/"rossmann"/"rossmann.tgz", "w:gz") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    data = loaders.load_rossmann()
    assert data.source == "real" and data.target == "Sales" and data.train["StateHoliday"].tolist() == ["0", "a"]
    assert set(data.extras) == ({"store"} if layout == "kaggle" else {"store", "weather", "store_states"})
    made = loaders.standins_written.make_rossmann()
    for name, real, drawn in zip(ROSSMANN, (data.train, data.test, data.extras["store"]), made):
        assert list(real) == list(drawn) == ROSSMANN[name].split()
        kinds = [{column: table[column].dtype.kind.replace("f", "i") for column in table} for table in (real, drawn)]  # few rows, few gaps
        assert kinds[0] == kinds[1], name


def test_rossmann_without_a_table_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    (tmp_path/"rossmann").mkdir()
    (tmp_path/"rossmann"/"rossmann.tgz").write_bytes(packed())
    with pytest.raises(DataError, match="store.csv expected"): loaders.load_rossmann()


def test_cats_and_dogs_from_the_public_archive(tmp_path, monkeypatch):
    "Its layout: more photos, larger ones, a validation folder that starts at number 2000."
    from PIL import Image
    def jpeg(size):
        out = io.BytesIO()
        Image.new("RGB", size, (size[0] % 256, 9, 9)).save(out, "JPEG")
        return out.getvalue()
    small, large = jpeg((20, 16)), jpeg((500, 375))
    with zipfile.ZipFile(tmp_path/"cats_and_dogs_filtered.zip", "w") as archive:
        archive.writestr("cats_and_dogs_filtered/vectorize.py", "print('not a photo')")
        for kind in ("cat", "dog"):
            for split, numbers in (("train", range(999, -1, -1)), ("validation", range(2000, 2500))):
                for k in numbers: archive.writestr(f"cats_and_dogs_filtered/{split}/{kind}s/{kind}.{k}.jpg", large if k in (0, 500, 2000, 2200) else small)
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    photos = loaders.load_cats_and_dogs()
    assert photos.source == "real" and len(photos.train_images) == 1000 and len(photos.test_images) == 400
    shapes = [tuple(image.shape) for image in photos.train_images]
    assert shapes[0] == shapes[500] == (3, 160, 213) and set(shapes[1:500]) == {(3, 16, 20)} and tuple(photos.test_images[0].shape) == (3, 160, 213)


def test_cifar_from_the_official_archive_and_from_its_batches(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    batches = {name: rng.integers(0, 10, 30_730_000, dtype=np.uint8).tobytes() if k == 0 else bytes(30_730_000) for k, name in enumerate(data_catalog.batch_names)}
    first = np.frombuffer(batches[data_catalog.batch_names[0]], np.uint8).reshape(10_000, 3073)
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    with tarfile.open(tmp_path/"cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as archive:
        for name, data in reversed(batches.items()):  # the order in the archive is not ours
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    for _ in range(2):  # unpacked, then from the cache
        cifar = loaders.load_cifar10()
        assert cifar.source == "real" and cifar.train_labels[:10_000].tolist() == first[:, 0].tolist() and cifar.test_images.max() == 0
        assert cifar.train_images[7].flatten().equal(torch.from_numpy(first[7, 1:].copy())/255)
    assert len(os.listdir(cache_folder()/"made")) == 1


def test_errors_of_idx_files_say_what_was_expected():
    for data in (b"", b"\0\0\x08", b"\0\0\x0d\1\0\0\0\1\0\0\0\0", b"\0\0\x08\1\0\0\0\3ab", b"\0\0\x08\1\0\0\0\1ab"):
        with pytest.raises(DataError, match="name is no idx file"): loaders.parse_idx(data, "name")


def test_catalogue_is_complete():
    assert len(datasets) == 10
    for dataset in datasets.values():
        assert dataset.title and dataset.licence and dataset.citation and dataset.stand_in
        for file in dataset.forms[0]:
            assert file.urls and all(re.fullmatch(r"https?://[\w.-]+/[\w./@~-]+", url) for url in file.urls), file.name
            assert file.sha256 or file.name in ("cats_and_dogs_filtered.zip", "rossmann.tgz")
