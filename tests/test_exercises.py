"""Every exercise: the stub is 'not tried', the worked solution passes, each planted mistake gets its own hint."""
import ast, contextlib, functools, importlib.util, io, json, re
from unittest import mock
import pytest, torch
from judge import NUMBERED, ROOT, is_exported, module_of, python_of
from lesson_nb import core
from lesson_nb.checker import Exercise, Hint, diagnose
from lesson_nb.ledger import code_cells, read_ledger

LESSONS = [p for p in NUMBERED if not p.name.startswith("00")]
SOLUTION = re.compile(r"<!-- exercise: (\w+) -->\s*```python\n(.*?)```", re.S)


@functools.cache
def exercises_of(notebook):
    "name -> (stub's source, solution's source) as they stand in a notebook; None for a stub that is none any more."
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    stubs = {f.name: ast.unparse(f) for _, source in code_cells(notebook) if (tree := python_of(source)) for f in tree.body
             if isinstance(f, ast.FunctionDef) and any(isinstance(n, ast.Raise) and "NotImplementedError" in ast.unparse(n) for n in f.body)}
    solutions = dict(SOLUTION.findall(prose))
    assert set(stubs) <= set(solutions), f"{notebook.name}: stubs without a solution: {sorted(set(stubs) - set(solutions))}"
    return {name: (stubs.get(name), solutions[name]) for name in solutions}


EXERCISES = [(p, name) for p in LESSONS for name in exercises_of(p)]
each_exercise = pytest.mark.parametrize("notebook, name", EXERCISES, ids=[name for _, name in EXERCISES])


def namespace_of(notebook):
    "What a learner has in hand: the notebook's own imports and its exported definitions, in a namespace that counts as the notebook's."
    names = {}
    for _, source in code_cells(notebook):
        if source.lstrip().startswith("%%"): continue  # a GPU cell, or one that runs in another process
        for node in getattr(python_of(source), "body", []):
            if isinstance(node, (ast.Import, ast.ImportFrom)): exec(ast.unparse(node), names)
    module = importlib.import_module(f"lesson_nb.{module_of(notebook)}")
    return names | {n: getattr(module, n) for n in module.__all__}


def defined(notebook, name, source):
    "The function of this name after running `source` where the learner would."
    names = namespace_of(notebook)
    exec(source, names)
    return names[name]


@functools.cache
def ledger_once():
    "The course's ledger, as `begin` reads it; once, since that means to read every notebook."
    return read_ledger(ROOT / "nbs")


@contextlib.contextmanager
def lesson_begun(notebook):
    "As it is at the end of a lesson: begun, with what it unlocks open."
    before = dict(core.state)
    with contextlib.redirect_stdout(io.StringIO()), mock.patch.object(core, "read_ledger", ledger_once): core.begin(notebook.stem)
    core.state["allowed"] |= {n for n, (where, _) in core.state["ledger"].unlocked.items() if where == notebook.stem}
    try: yield
    finally: core.state.update(before)


def mistakes_of(name):
    path = ROOT / "tests" / "exercises" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"mistakes_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MISTAKES


def specification(notebook, name): return importlib.import_module(f"lesson_nb.exercises.{module_of(notebook)}").exercises[name]


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda p: p.stem)
def test_lesson_has_its_exercises_and_no_others(notebook):
    found = exercises_of(notebook)
    assert 3 <= len(found) <= 8
    checks = [a for _, source in code_cells(notebook) for a in re.findall(r"(?m)^check\(\"(\w+)\", \1\)", source)]
    assert sorted(checks) == sorted(found), "a check cell and a solution for each exercise"
    answered = [name for name, (stub, _) in found.items() if stub is None]
    assert not answered, (f"{notebook.name}: {', '.join(answered)}: no stub any more. If these are your answers, all is well: these tests are for the course as it "
                          f"came. `make test NB=nbs/{notebook.name}` tests a lesson that you work in; `git checkout nbs/{notebook.name}` brings the original back")
    assert set(importlib.import_module(f"lesson_nb.exercises.{module_of(notebook)}").exercises) == set(found)


def test_no_mistakes_without_an_exercise():
    assert {p.stem for p in (ROOT / "tests" / "exercises").glob("*.py")} - {"__init__"} == {name for _, name in EXERCISES}
    assert len({name for _, name in EXERCISES}) == len(EXERCISES), "an exercise name is used twice"


@each_exercise
def test_stub_is_not_tried(notebook, name):
    if exercises_of(notebook)[name][0] is None: pytest.skip("no stub any more: test_lesson_has_its_exercises_and_no_others says more")
    with lesson_begun(notebook): assert diagnose(name, defined(notebook, name, exercises_of(notebook)[name][0])).key == "not-tried"


@each_exercise
def test_solution_passes_with_what_is_unlocked(notebook, name):
    with lesson_begun(notebook):
        verdict = diagnose(name, defined(notebook, name, exercises_of(notebook)[name][1]))
        assert verdict.passed and verdict.message.startswith("✓"), verdict


@each_exercise
def test_each_mistake_gets_its_own_hint(notebook, name):
    mistakes = mistakes_of(name)
    assert len(mistakes) >= 2
    with lesson_begun(notebook): said = {key: diagnose(name, function) for key, function in mistakes.items()}
    assert {key: v.key for key, v in said.items()} == {key: key for key in mistakes}, said
    assert len({v.message for v in said.values()}) == len(said), "two mistakes get the same sentence"


@each_exercise
def test_every_hint_is_earned_by_a_planted_mistake(notebook, name):
    assert {h.key for h in specification(notebook, name).hints} <= set(mistakes_of(name))


@each_exercise
def test_hidden_cases_differ_and_answer_by_heart_fails(notebook, name):
    exercise = specification(notebook, name)
    cases = exercise.cases()
    answers = [exercise.reference(*c) for c in cases]
    assert len(cases) >= 3 and exercise.praise
    with lesson_begun(notebook):
        for answer in answers: assert not diagnose(name, lambda *arguments: answer).passed
        assert not diagnose(name, lambda *arguments: None).passed and not diagnose(name, lambda *arguments: arguments[0]).passed


@each_exercise
def test_hidden_cases_are_not_in_the_notebook(notebook, name):
    visible = next(source for _, source in code_cells(notebook) if f"def {name}(" in source)
    assert "check(" not in visible and "assert" not in visible


# the checker itself
rows = Exercise(reference=lambda x: x.sum(1), cases=lambda: [(torch.arange(6.0).view(2, 3),), (torch.tensor([[4.0, 8.0, 1.0]]),), (torch.ones(3, 2),)],
                hints=[Hint("columns", "the other axis", wrong=lambda x: x.sum(0)), Hint("huge", "much too large", when=lambda answer, arguments, expected: answer.max() > 99)])


def not_yet(x): raise NotImplementedError
def returns_number(x): return 3.0
def forgets_axis(x): return x.sum()
def gives_nothing(x): x.sum(1)
def half(x): return x.sum(1).half()
def breaks(x): return x.nonsense
def spoils(x): x.add_(1); return x.sum(1) - x.shape[1]
def leaves(x): raise SystemExit
def goes_round(x): return goes_round(x)
def asks_more(x, y): return x


@pytest.mark.parametrize("function, key", [
    (not_yet, "not-tried"), (..., "not-tried"), (None, "not-tried"), (3, "wrong-type"), (returns_number, "wrong-type"), (forgets_axis, "wrong-shape"),
    (gives_nothing, "returns-nothing"), (half, "wrong-dtype"), (breaks, "raised"), (spoils, "changed-input"), (leaves, "raised"), (goes_round, "raised"),
    (asks_more, "raised"), (lambda x: x.sum(0), "columns"), (lambda x: x.sum(1) + 1000, "huge"), (lambda x: x.sum(1) + 1, "wrong-value"), (lambda x: x.sum(1), "passed")])
def test_checker_names_the_mistake(function, key): assert diagnose("rows", function, rows).key == key


def test_checker_refuses_one_answer_for_all():
    exercise = Exercise(reference=lambda n: n * n, cases=lambda: [(2,), (3,), (5,)])
    assert diagnose("squares", lambda n: 4, exercise).key == "constant"
    assert diagnose("squares", lambda n: {2: 4, 3: 9}[n], exercise).key == "raised"
    assert diagnose("squares", lambda n: n * n, exercise).passed


def test_checker_refuses_what_is_locked():
    names = {"torch": torch}
    exec("def shortcut(a, b): return torch.cdist(a, b)", names)
    exercise = Exercise(reference=torch.cdist, cases=lambda: [(torch.rand(2, 3), torch.rand(4, 3)), (torch.rand(1, 3), torch.rand(2, 3))])
    before = dict(core.state)
    core.state.update(lesson="01_matmul", ledger=ledger_once(), allowed=set())
    try: verdict = diagnose("distances", names["shortcut"], exercise)
    finally: core.state.update(before)
    assert verdict.key == "locked" and "torch.cdist" in verdict.message


def test_interrupt_is_the_learners():
    def interrupted(x): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): diagnose("rows", interrupted, rows)


def test_answers_of_another_kind_are_named_and_nothing_is_raised():
    numpy = pytest.importorskip("numpy")
    number, listed = Exercise(lambda n: 0.75 * n, lambda: [(1,), (2,), (3,)]), Exercise(lambda n: [n, n + 1], lambda: [(1,), (2,), (3,)])
    for answer in (lambda n: torch.tensor(0.75 * n), lambda n: numpy.float32(0.75 * n)):
        assert diagnose("x", answer, number).key == "wrong-kind" and ".item()" in diagnose("x", answer, number).message
    assert "`.tolist()`" in diagnose("x", lambda n: numpy.array([n, n + 1]), listed).message
    for answer in (lambda n: numpy.array([n, n]), lambda n: torch.eye(2).to_sparse(), lambda n: torch.nested.nested_tensor([torch.ones(2), torch.ones(n)])):
        assert diagnose("x", answer, number).key in ("wrong-value", "constant")


def test_an_error_of_pytorchs_is_no_stub():
    exercise = Exercise(lambda n: float(n), lambda: [(1,), (2,)])
    assert diagnose("x", lambda n: torch.softmax(torch.tensor([1, n]), 0), exercise).key == "raised"
    def half(n):
        if n > 1: raise NotImplementedError
        return 1.0
    assert diagnose("x", half, exercise).key == "raised" and diagnose("x", not_yet, exercise).key == "not-tried"
