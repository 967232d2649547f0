"""Signatures read from the source of the library, so that explaining a command imports nothing that it would need."""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).parents[1]


class _Names(dict[str, Any]):
    """What names at the top of one of our modules stand for; classes by stand-ins, others' modules imported.

    Args:
        module: Such as ``semiverse.commands.train``.
    """

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module = module
        place = LIBRARY.joinpath(*module.split(".")[1:])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        self._body = ast.parse(file.read_text(encoding="utf-8")).body

    def __missing__(self, name: str) -> Any:  # noqa: ANN401
        for node in self._body:
            match node:
                case ast.ClassDef() if node.name == name:
                    return self.setdefault(name, _stand_in(name, self.module))
                case ast.FunctionDef() if node.name == name:
                    return self._function(node)
                case (
                    ast.Assign(targets=[ast.Name(id=found)], value=ast.expr() as value)
                    | ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value)
                ) if found == name:
                    return self.setdefault(name, eval(compile(ast.Expression(value), name, "eval"), {}, self))
                case ast.Import() if name in [alias.asname or alias.name for alias in node.names]:
                    return import_module(name)
                case ast.ImportFrom(module=str(home)):
                    for alias in node.names:
                        if name == (alias.asname or alias.name):
                            ours = home.startswith("semiverse.")
                            return self.setdefault(
                                name, _Names(home)[alias.name] if ours else getattr(import_module(home), alias.name)
                            )
        raise KeyError(name)  # so that built-in names are found

    def _function(self, node: ast.FunctionDef) -> Callable[..., Any]:
        """A function with its signature and docstring, and nothing to do."""
        node.decorator_list, node.body = [], node.body[:1]
        exec(compile(ast.Module([node], []), node.name, "exec"), {}, self)
        function: Callable[..., Any] = self[node.name]
        return function


def read_function(module: str, name: str) -> Callable[..., Any]:
    """A function of one of our modules with signature and docstring alone, without importing the module.

    Classes of ours in its signature are stand-ins of the same names.
    """
    found: Callable[..., Any] = _Names(module)[name]
    return found


def is_stand_in(kind: object) -> bool:
    """Whether a class stands for one that was not imported."""
    return hasattr(kind, "__stand_in__")


def read_choices(kind: type) -> dict[str, type]:
    """Stand-ins for the classes that derive from one and lack nothing, from the modules beside it, by name."""
    room, known = kind.__module__.rpartition(".")[0], {kind.__name__}
    files = sorted(LIBRARY.joinpath(*room.split(".")[1:]).glob("*.py"))
    nodes = [(f"{room}.{file.stem}", node) for file in files for node in ast.parse(file.read_text("utf-8")).body]
    left = [(module, node) for module, node in nodes if isinstance(node, ast.ClassDef)]
    found: dict[str, type] = {}
    while derived := [(m, n) for m, n in left if known.intersection(map(ast.unparse, n.bases))]:
        left = [one for one in left if one not in derived]
        known |= {node.name for _, node in derived}
        whole = [
            one for one in derived if not one[1].name.startswith("_") and "@abstractmethod" not in ast.unparse(one[1])
        ]
        found |= {node.name: _stand_in(node.name, module) for module, node in whole}
    return dict(sorted(found.items())) or {kind.__name__: kind}


def _stand_in(name: str, module: str) -> type:
    return type(name, (), {"__module__": module, "__stand_in__": True})
