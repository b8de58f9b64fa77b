"""Changes of a function in one place, made in its syntax tree."""

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any", "set": "list"}
JOINED = {"intersection": "union", "union": "intersection", "append": "count"}
SIGNED = ("check",)  # methods of whose value only the sign counts


@dataclass(frozen=True)
class Mutant:
    """A changed function: where, what (before -> after) and its source."""

    where: str
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def mutants(
    function: FunctionType, where: str, fields: Mapping[str, tuple[str, ...]] | None = None
) -> Iterator[Mutant]:
    """Yield the changes of a function. ``fields``: field of its class -> the other ones of the same type."""
    tree = definition(function)
    seen: Counter[str] = Counter()
    made = {ast.unparse(tree)}
    for slot in list(slots(tree)):
        if any(isinstance(above, ast.Raise) for above in slot.above):
            continue  # the text of an exception
        for new in changes(slot, tree.name, fields or {}):
            slot.put(new)
            source = ast.unparse(ast.fix_missing_locations(tree))
            slot.put(slot.node)
            if source in made:
                continue
            made.add(source)
            what = f"{short(slot.node)} -> {short(new)}"
            seen[what] += 1
            yield Mutant(where, what + (f" ({seen[what]})" if seen[what] > 1 else ""), source)


def definition(function: FunctionType) -> ast.FunctionDef:
    """Return a function's syntax tree, without decorators, annotations and docstring."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    tree.decorator_list, tree.returns = [], None
    for argument in ast.walk(tree.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    if ast.get_docstring(tree) is not None:
        del tree.body[0]
    return tree


def built(mutant: Mutant, original: FunctionType, owner: type | None) -> Any:
    """Return a mutant as a function that stands where the original one stood."""
    head = ast.parse(mutant.source).body[0]
    assert isinstance(head, ast.FunctionDef)
    maker = f"def make(__class__):\n{textwrap.indent(mutant.source, ' ')}\n return {head.name}"
    space: dict[str, Any] = {}
    exec(compile(maker, f"<mutant of {mutant.where}>", "exec"), original.__globals__, space)
    return space["make"](owner)


@dataclass(frozen=True)
class Slot:
    """A place in a tree, with what stands there and what stands above it, innermost last."""

    node: ast.AST
    put: Callable[[ast.AST], None]
    above: tuple[ast.AST, ...]
    name: str  # of the field that holds it


def slots(node: ast.AST, above: tuple[ast.AST, ...] = ()) -> Iterator[Slot]:
    """Yield the places of a tree, outermost first."""
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield Slot(value, lambda new, name=name: setattr(node, name, new), (*above, node), name)  # type: ignore[misc]
            yield from slots(value, (*above, node))
        elif isinstance(value, list):
            for k, part in enumerate(value):
                if isinstance(part, ast.AST):
                    yield Slot(part, lambda new, k=k, held=value: held.__setitem__(k, new), (*above, node), name)  # type: ignore[misc]
                    yield from slots(part, (*above, node))


def short(node: ast.AST) -> str:
    """Return a node as text on one line, a condition without what stands under it."""
    if isinstance(node, ast.If):
        return f"if {short(node.test)}"
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())


def changes(slot: Slot, name: str, fields: Mapping[str, tuple[str, ...]]) -> Iterator[ast.AST]:  # noqa: PLR0912
    """Yield what may stand in a place instead."""
    node, parent = slot.node, slot.above[-1]
    match node:
        case ast.Compare():
            yield from compared(node)
        case ast.BinOp():
            yield from computed(node, parent)
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield node.operand
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield ast.BoolOp(other, node.values)
            for k in range(len(node.values)):
                rest = node.values[:k] + node.values[k + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.Constant():
            yield from constants(node, slot, name)
        case ast.Call(func=ast.Name(id="abs"), args=[only]):
            yield only
        case ast.Call(func=ast.Name(id="range"), args=[*_, last] as bounds):
            less = ast.BinOp(last, ast.Sub(), ast.Constant(1))
            yield ast.Call(node.func, [*bounds[:-1], less], [])
            first = bounds[0] if len(bounds) > 1 else ast.Constant(0)
            more = ast.BinOp(first, ast.Add(), ast.Constant(1)) if len(bounds) > 1 else ast.Constant(1)
            yield ast.Call(node.func, [more, *(bounds[1:] or bounds)], [])
        case ast.Call(func=ast.Name(id=called)) if called in CALLED and (called != "set" or len(node.args) == 1):
            yield ast.Call(ast.Name(CALLED[called], ast.Load()), node.args, node.keywords)
        case ast.Call(func=ast.Attribute(value=value, attr=called)) if called in ("intersection", "union"):
            yield ast.Call(ast.Attribute(value, JOINED[called], ast.Load()), node.args, node.keywords)
        case ast.comprehension() if node.ifs:
            for k in range(len(node.ifs)):
                yield ast.comprehension(node.target, node.iter, node.ifs[:k] + node.ifs[k + 1 :], node.is_async)
        case ast.Attribute(value=ast.Name(id="self"), attr=field):
            for other_field in fields.get(field, ()):
                yield ast.Attribute(node.value, other_field, ast.Load())
        case ast.AugAssign():
            if type(node.op) in COMPUTED:
                yield ast.AugAssign(node.target, COMPUTED[type(node.op)](), node.value)
            yield ast.Pass()
        case ast.Continue() | ast.Break() | ast.Raise():
            yield ast.Pass()
        case ast.If():
            for value in (True, False):
                yield ast.If(ast.Constant(value), node.body, node.orelse)
        case ast.Return(value=ast.expr() as value) if name in ("check", "of"):
            yield from (ast.Return(ast.Constant(constant)) for constant in (0, -1))
            yield ast.Return(ast.UnaryOp(ast.USub(), value))
            yield from (ast.Return(ast.BinOp(value, op, ast.Constant(1))) for op in (ast.Add(), ast.Sub()))


def compared(node: ast.Compare) -> Iterator[ast.AST]:
    """Yield a comparison moved, turned round, or (of a chain) without one of its links."""
    for k, op in enumerate(node.ops):
        for other in COMPARED[type(op)]:
            yield ast.Compare(node.left, [*node.ops[:k], other(), *node.ops[k + 1 :]], node.comparators)
    if len(node.ops) > 1:
        yield ast.Compare(node.left, node.ops[:-1], node.comparators[:-1])
        yield ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:])


def computed(node: ast.BinOp, parent: ast.AST) -> Iterator[ast.AST]:
    """Yield another operation, either term alone, and the operands swapped where their order counts."""
    even = isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "abs"
    even |= isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow)
    if type(node.op) in COMPUTED:
        yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    if isinstance(node.op, ast.Sub | ast.Add | ast.Mult | ast.Div):
        yield node.left
        yield ast.UnaryOp(ast.USub(), node.right) if isinstance(node.op, ast.Sub) and not even else node.right
    if isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod) and not even:
        yield ast.BinOp(node.right, node.op, node.left)


def constants(node: ast.Constant, slot: Slot, name: str) -> Iterator[ast.AST]:
    """Yield neighbours of a number; of a slack that says satisfied (0) or violated (-1), only the other one."""
    above = [a for a in slot.above if not isinstance(a, ast.IfExp)]
    inside = isinstance(slot.above[-1], ast.IfExp) and slot.name != "test"
    if isinstance(node.value, bool):
        if not (isinstance(slot.above[-1], ast.keyword) and slot.above[-1].arg == "strict"):
            yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        returned = isinstance(above[-1], ast.Return)
        if name in SIGNED and node.value == 0 and (inside or returned) and returned:
            yield ast.Constant(-1)
            return
        negative = isinstance(above[-1], ast.UnaryOp) and isinstance(above[-1].op, ast.USub)
        verdict = name in SIGNED and negative and isinstance(above[-2], ast.Return)
        if not verdict:
            yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node.value, float):
        yield ast.Constant(node.value + 1)
