"""What the tests of single families share."""

from solvers.exact import admits
from solvers.problem import Absent, Hole, Instance, examine


def agreed(shape, constraint, answer):
    """Return the slack of one constraint (None: an entity is absent), once the solver has said the same of it."""
    try:
        slack = constraint.check(answer)
    except Absent:
        slack = None
    assert admits(shape, [constraint], answer) == (slack is not None and slack >= 0)
    return slack


def instance_of(kind, data, modules=None):
    """Return the family and the instance that it makes of data worked out by hand."""
    family = kind()
    family.draw = lambda knobs, stream: data
    instance, discards = family.instance("xs", 0, 0, modules)
    assert isinstance(instance, Instance)
    assert not discards
    return family, instance


def instances(family, size, count):
    """Yield the first accepted instances of a size with all modules on."""
    for index in range(count):
        instance, _ = family.instance(size, 11, index)
        assert not isinstance(instance, Hole)
        yield instance


def draws(family, size, count):
    """Yield data as the family draws it, unsolved."""
    for index in range(count):
        yield family.draw(family.sizes[size], family.stream(size, 11, index, 0))


def violated(family, instance, answer):
    """Return the constraints that an answer violates, as the judge lists them."""
    constraints = family.constraints(instance, "final")
    checks = examine(constraints, answer)
    return [c for c, check in zip(constraints, checks, strict=True) if not check.satisfied]


def breaks(family, kind, mutate, count):
    """The exact answers of so many instances of size s, mutated to break a constraint of a kind, are reported as
    breaking it by judge and solver. ``mutate(answer, constraint)``."""
    for instance in instances(family, "s", count):
        for constraint in family.constraints(instance, "final"):
            if constraint.kind == kind:
                mutant = mutate(instance.answer, constraint)
                assert constraint not in violated(family, instance, instance.answer)
                assert constraint in violated(family, instance, mutant)
                assert agreed(family.shape(instance, "final"), constraint, mutant) < 0
