"""What the house tests look for, as functions that return a list of sentences: one for each offence, none when all is well.

Each is used twice: on the course itself, where the list must be empty, and on planted offences, where it must not be.
"""
import ast, functools, importlib, json, pathlib, re, types
from pathlib import Path
import torch
from lesson_nb.ledger import code_cells, complaint, spelling_of, unlock_calls

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "nbs").glob("*.ipynb"))
NUMBERED = [p for p in NOTEBOOKS if re.match(r"\d\d", p.name)]

# methods that strings, lists and the like have too: from the text nobody can tell whose they are, so the run-time watch judges them
SHARED = {name for kind in (str, bytes, list, tuple, dict, set, slice, int, float, pathlib.Path, type(re.compile("")), types.FunctionType) for name in dir(kind)}


@functools.cache
def python_of(source):
    "A cell's Python: the line of a cell magic, line magics and shell lines blanked out; None if it is no Python."
    lines = source.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%") and not re.match(r"%%(cuda|slow|time|timeit|capture|script .?\{sys|python)", lines[first]): return None
    lines = [re.sub(r"\S.*", "pass", line) if re.match(r"\s*[%!]", line) else line for line in lines]
    try: return ast.parse("\n".join(lines))
    except SyntaxError: return None


class Judge(ast.NodeVisitor):
    "Walks the cells of one lesson in order and collects every use of torch that is not open at that place."
    def __init__(self, ledger, lesson):
        self.ledger, self.lesson, self.allowed = ledger, lesson, set(ledger.allowed(lesson))
        self.names, self.own_methods, self.offences, self.cell, self.spellings = {}, set(), [], None, None

    def read(self, position, source):
        "Judge one cell."
        tree = python_of(source)
        if tree is None: return
        self.cell = position
        self.own_methods |= {f.name for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for f in c.body if isinstance(f, ast.FunctionDef)}
        self.own_methods |= {t.attr for n in ast.walk(tree) if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Attribute)}
        for statement in tree.body:
            self.visit(statement)
            if isinstance(statement, ast.Expr):
                for name in unlock_calls(ast.unparse(statement)) if not source.lstrip().startswith("%%") else ():
                    if symbol := self.ledger.find(name): self.allowed.add(symbol.name)

    def use(self, spelling):
        "A use of `spelling`: collected for an oracle, judged elsewhere."
        if self.spellings is not None: self.spellings.add(spelling)
        elif message := complaint(self.ledger, spelling, f"{self.lesson}, cell {self.cell}", self.allowed): self.offences.append(message)

    # names and what they stand for
    def visit_Import(self, node):
        for a in node.names: self.names[a.asname or a.name.partition(".")[0]] = a.name if a.asname else a.name.partition(".")[0]

    def visit_ImportFrom(self, node):
        for a in node.names:
            if a.name == "*" and (node.module or "").partition(".")[0] == "torch":
                self.offences.append(f"{self.lesson}, cell {self.cell}: from {node.module} import *: nobody can see what it uses; import by name")
            self.names[a.asname or a.name] = f"{node.module}.{a.name}"

    def path(self, node):
        "The dotted path an expression stands for, if it leads to something imported; else None."
        if isinstance(node, ast.Name): return self.names.get(node.id)
        if isinstance(node, ast.Attribute): return (base := self.path(node.value)) and f"{base}.{node.attr}"
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", "") or (self.path(node.func) or "")
            text = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if called == "getattr" and text: return (base := self.path(node.args[0])) and f"{base}.{text[0]}"
            if called in ("importlib.import_module", "__import__") and text: return text[0]

    def visit_Assign(self, node):
        path = self.path(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name): self.names.pop(target.id, None)
            if isinstance(target, ast.Name) and path: self.names[target.id] = path
        self.visit(node.value)

    # uses
    def torch_use(self, path):
        "Judge a dotted path into torch at its first piece that is no module and no mere value."
        there, done = torch, "torch"
        for part in path.split(".")[1:]:
            if not isinstance(there, types.ModuleType) and there is not torch.Tensor: break
            done += f".{part}"
            try: there = getattr(there, part)
            except AttributeError:
                try: there = importlib.import_module(done)
                except ImportError: return
        if isinstance(there, types.ModuleType): return
        if callable(there) and there is not torch.Tensor and not isinstance(there, torch.dtype): self.use(spelling_of(done))

    def visit_Name(self, node):
        path = self.names.get(node.id)
        if path and isinstance(node.ctx, ast.Load): self.whole(path)

    def whole(self, path):
        if path.partition(".")[0] == "torch": self.torch_use(path)
        if path in ("operator.matmul", "operator.imatmul", "operator.__matmul__"): self.use("@")

    def visit_Attribute(self, node):
        if path := self.path(node): return self.whole(path)
        root = node.value
        while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)): root = root.func if isinstance(root, ast.Call) else root.value
        foreign = isinstance(root, ast.Name) and (self.names.get(root.id) or "torch").partition(".")[0] not in ("torch", "lesson_nb")
        plain = node.attr.strip("_") if node.attr.startswith("__") else node.attr
        if not foreign and callable(getattr(torch.Tensor, node.attr, None)) and node.attr not in SHARED | self.own_methods: self.use(f"x.{plain}")
        self.visit(node.value)

    def visit_Call(self, node):
        if getattr(node.func, "id", "") == "getattr" and len(node.args) > 1 and (self.path(node.args[0]) or "").partition(".")[0] == "torch":
            if path := self.path(node): return self.whole(path)
            self.offences.append(f"{self.lesson}, cell {self.cell}: getattr of torch with a computed name: nobody can see what it uses")
        if getattr(node.func, "id", getattr(node.func, "attr", "")) == "assert_same":
            if node.args: self.visit(node.args[0])   # ours is judged; what follows is the oracle
            return
        self.generic_visit(node)

    def visit_BinOp(self, node):
        if isinstance(node.op, ast.MatMult): self.use("@")
        self.generic_visit(node)

    def visit_AugAssign(self, node):
        if isinstance(node.op, ast.MatMult): self.use("@")
        self.generic_visit(node)

    def oracle(self, call):
        "The spellings that an assert_same call compares with."
        self.spellings = set()
        for part in [*call.args[1:], *(k.value for k in call.keywords)]: self.visit(part)
        found, self.spellings = self.spellings, None
        return found


def locked_uses(path, ledger):
    "Uses of torch in a notebook that neither axioms nor earlier proofs open."
    judge = Judge(ledger, Path(path).stem)
    for position, source in code_cells(path): judge.read(position, source)
    return judge.offences


def calls_of(tree, name):
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", getattr(n.func, "attr", "")) == name]


def unproven_unlocks(path, ledger, exported=None):
    "Calls of `unlock` that are not plain statements right under the assert_same that proves them, of what the module exports."
    offences, judge = [], Judge(ledger, Path(path).stem)
    for position, source in code_cells(path):
        here, tree = f"{Path(path).stem}, cell {position}", python_of(source)
        if tree is None or not (unlocks := calls_of(tree, "unlock")):
            judge.read(position, source)
            continue
        if source.lstrip().startswith("%%"): offences.append(f"{here}: unlock in a marked cell; a proof that may be skipped proves nothing")
        plain = [s.value for s in tree.body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
        compared, proofs = set(), []
        for statement in tree.body:
            call = statement.value if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) else None
            if call and getattr(call.func, "id", "") == "assert_same": compared |= judge.oracle(call); proofs.append(call)
            elif call and getattr(call.func, "id", "") == "unlock":
                for name in unlock_calls(ast.unparse(statement)):
                    symbol = ledger.find(name)
                    if symbol is None: offences.append(f"{here}: unlock of {name!r}, which ledger.toml does not list")
                    elif not {ledger.find(c) for c in compared} & {symbol}: offences.append(f"{here}: unlock of {name!r} without an assert_same above it that compares with it")
            elif not isinstance(statement, (ast.Import, ast.ImportFrom)): judge.visit(statement)
        if len([c for c in unlocks if c in plain]) < len(unlocks): offences.append(f"{here}: unlock inside another statement; it has to stand alone")
        for call in proofs:
            ours = ast.unparse(call.args[0]).partition("(")[0] if call.args else "nothing"
            if exported is not None and ours not in exported: offences.append(f"{here}: proves {ours}, which the lesson does not export")
    return offences


def vacuous_checks(path):
    "Checks in a notebook that cannot fail."
    offences = []
    for position, source in code_cells(path):
        here, tree = f"{Path(path).stem}, cell {position}", python_of(source)
        inside_functions = {n for f in (ast.walk(tree) if tree else ()) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Assert):
                test = node.test
                if isinstance(test, ast.Constant) or isinstance(test, ast.Tuple) and test.elts: offences.append(f"{here}: assert {ast.unparse(test)} is always true")
                if isinstance(test, ast.Compare) and any(ast.dump(a) == ast.dump(b) for a, b in zip([test.left, *test.comparators], test.comparators)):
                    offences.append(f"{here}: {ast.unparse(node)} compares a thing with itself")
                if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) and any(isinstance(v, ast.Constant) and v.value for v in test.values):
                    offences.append(f"{here}: {ast.unparse(node)} is always true")
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("assert_close", "assert_same", "allclose", "equal", "isclose"):
                if len(node.args) > 1 and ast.dump(node.args[0]) == ast.dump(node.args[1]): offences.append(f"{here}: {ast.unparse(node)} compares a thing with itself")
            if isinstance(node, ast.Try) and node not in inside_functions and not node.finalbody:
                raises = any(isinstance(n, (ast.Raise, ast.Assert)) for part in [*node.orelse, *node.handlers, *node.body] for n in ast.walk(part))
                told = {n.id for h in node.handlers for n in ast.walk(h) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
                asked = {n.id for a in ast.walk(tree) if isinstance(a, ast.Assert) for n in ast.walk(a) if isinstance(n, ast.Name)}
                if not raises and not told & asked: offences.append(f"{here}: the expected error may stay away unnoticed; add an else that raises")
    return offences


# the house -----------------------------------------------------------------------------------------------------------------

def module_of(notebook): return re.sub(r"^\d\d[a-z]?_", "", Path(notebook).stem)


def is_exported(source): return re.search(r"(?m)^#\|\s*exports?\b", source) is not None


def wrong_homes(notebook):
    "A numbered notebook exports to the module of its own name, once."
    targets = [t for _, source in code_cells(notebook) for t in re.findall(r"(?m)^#\|\s*default_exp\s+(\S+)", source)]
    exports = any(is_exported(source) for _, source in code_cells(notebook))
    if not exports and not targets: return []
    return [] if targets == [module_of(notebook)] else [f"{Path(notebook).name}: expected `default_exp {module_of(notebook)}` once, got {targets}"]


def imports_of(tree):
    "(module, name, line) of every import; name is None for a plain import."
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): yield from ((a.name, None, node.lineno) for a in node.names)
        if isinstance(node, ast.ImportFrom): yield from (("." * node.level + (node.module or ""), a.name, node.lineno) for a in node.names)


def wrong_imports(notebook, order):
    "Star imports, and imports of lesson_nb's modules that do not come earlier in the file order (`order`: module names)."
    own, offences = module_of(notebook), []
    rank = {name: i for i, name in enumerate(order)}
    for position, source in code_cells(notebook):
        here, tree = f"{Path(notebook).stem}, cell {position}", python_of(source)
        for module, name, _ in imports_of(tree) if tree else ():
            if name == "*": offences.append(f"{here}: from {module} import *: import by name"); continue
            if module.startswith("."): offences.append(f"{here}: relative import {module}; write lesson_nb"); continue
            parts = module.split(".") + ([name] if name and module == "lesson_nb" else [])
            if parts[0] != "lesson_nb" or len(parts) < 2 or parts[1] not in rank: continue
            late = rank[parts[1]] > rank.get(own, len(rank)) or parts[1] == own and is_exported(source)
            if late: offences.append(f"{here}: imports {parts[1]}, which does not come before {own}")
    return offences


def public_names(module_file):
    "A module's `__all__`, read without running it."
    for node in ast.parse(Path(module_file).read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__": return ast.literal_eval(node.value)
    return []


def two_homes(module_files):
    "Public names that more than one module defines."
    homes = {}
    for path in module_files:
        for name in public_names(path): homes.setdefault(name, []).append(path.stem)
    return [f"{name} lives in {' and '.join(where)}" for name, where in homes.items() if len(where) > 1]


def marked_exports(notebook):
    "Cells under a cell magic that are exported too: nbdev would write the magic into the module."
    return [f"{Path(notebook).stem}, cell {i}: {line} with #| export breaks the export" for i, source in code_cells(notebook) if is_exported(source)
            for line in re.findall(r"(?m)^%%\w+", source)]


def undocumented(notebook):
    "Exported public functions and classes without a docstring."
    trees = [(i, python_of(source)) for i, source in code_cells(notebook) if is_exported(source)]
    return [f"{Path(notebook).stem}, cell {i}: {node.name} has no docstring" for i, tree in trees if tree for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not ast.get_docstring(node)]


def write_notebook(path, *cells):
    "A small notebook of these code cells (for planted offences); 'md:' at the start of one makes it prose."
    def cell(i, source):
        kind = {"cell_type": "markdown", "source": source[3:]} if source.startswith("md:") else {"cell_type": "code", "source": source, "outputs": [], "execution_count": None}
        return {"id": f"cell{i}", "metadata": {}, **kind}
    metadata = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    Path(path).write_text(json.dumps({"cells": [cell(i, c) for i, c in enumerate(cells)], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return Path(path)
