"""How many wrong predicates the tests see: ``python -m tests.mutants [FAMILY ...]``.

Every predicate (the `check` of each constraint kind, the `of` of each objective, the `step` of each procedure, with the
functions that they call) is changed in one place at a time: a comparison, a bound, a sign, a term, an operand, a field.
`making` makes the changes, `finding` shows them to the tests, `explained` says which ones change nothing.
"""
