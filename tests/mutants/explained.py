"""Mutants that no test can see, since they change no verdict, and why."""

EXPLAINED: dict[str, str] = {}


def because(reason: str, where: str, *changes: str) -> None:
    """Note why some changes of a predicate change nothing."""
    EXPLAINED.update({f"{where}: {change}": reason for change in changes})


because(
    "what every worker starts with falls out of the difference of two loads, as does their sign",
    "crew_assignment WorkloadBalance.check",
    "0 -> 1",
    "0 -> -1",
    "load[w] += self.hours[t][w] -> load[w] -= self.hours[t][w]",
)
because(
    "the sign of a flow is taken off",
    "dc_opf FlowLimit.check",
    "answer[1][i] - answer[1][j] -> answer[1][j] - answer[1][i]",
)
because("a branch has four powers, the last two of them at its head", "ac_opf BranchFlow.check", "4 -> 5")
for name in ("DueDate", "TimeInShop"):
    because(
        "the jobs that come later do not move a job",
        f"flow_shop {name}.check",
        "for job in in_order(answer) if answer[job] <= place -> for job in in_order(answer)",
    )
because(
    "nothing ends before time 0, and every job has as many operations as there are machines",
    "flow_shop ends",
    "0 -> -1",
    "0 -> 1 (2)",
    "0 -> -1 (2)",
    "0 -> -1 (3)",
)
because(
    "a line whose demand is met takes from some source, after a day or more",
    "order_fulfillment Deadline.check",
    "0 -> 1",
    "0 -> -1",
)
because(
    "with fewer than two of its tasks there, one is absent all the same",
    "project_planning NoOverlap.check",
    "0 -> 1 (3)",
)
because("there is one equation", "newton Newton.step", "0 -> -1", "0 -> -1 (2)")
because("what is not 0 is 1, the other unknown", "newton Newton.step", "1 -> 2 (2)")
because(
    "every entry is written before it is read",
    "qr_iteration QrIteration.step",
    "0 -> 1",
    "0 -> -1",
)
because(
    "a root of 0 has no sign, and the next whole number is rounded to 0",
    "qr_iteration QrIteration.step",
    "product >= 0 -> product > 0",
    "0 -> 1 (2)",
    "0 -> -1 (2)",
)
because(
    "any positive multiple of a column will do: a common factor is taken out to keep the numbers short; a column of"
    " zeros is refused later all the same",
    "qr_iteration orthogonal",
    "gcd(*u) or 1 -> gcd(*u) and 1",
    "gcd(*u) or 1 -> 1",
    "gcd(*u) or 1 -> gcd(*u)",
    "1 -> 2",
    "1 -> 0",
    "v // common -> v * common",
)
because("where nothing is asked, any slack from 0 on says so", "portfolio Conditional.check", "0 -> 1 (2)")
because("where nothing is asked, any slack from 0 on says so", "production_mix LinkedProduction.check", "0 -> 1 (2)")
because(
    "more digits than are kept do not move the ones that are",
    "ac_power_flow AcPowerFlow.step",
    "DIGITS + 20 -> DIGITS",
    "20 -> 21",
    "20 -> 19",
)
because(
    "places that nothing is written to",
    "ac_power_flow AcPowerFlow.linearised",
    "2 -> 3",
    "2 -> 3 (2)",
    "2 -> 3 (3)",
)
because("to take nothing off a row changes nothing", "linear solved", "i != k and factor != 0 -> i != k")
because(
    "a look-ahead of 0 looks from where it stands",
    "euler Euler.step",
    "if d.ahead -> if True",
)
because(
    "no system drawn is constant, and any degree from that of its terms on will do",
    "runge_kutta RungeKutta.step",
    "1 -> 2",
    "1 -> 0",
)
because("the last slope leads to no other", "runge_kutta RungeKutta.step", "0 -> 1", "0 -> -1")
because("a power of 0 is 1", "runge_kutta _value", "if e -> if True")
because(
    "the slower way gives the same",
    "polynomials value_at",
    "if any((e < 0 for _, exponents in terms for e in exponents)) -> if True",
    "e < 0 -> e <= 0",
    "0 -> 1",
)
because("no terms are 0 at any degree", "polynomials value_at", "0 -> 1 (2)")
because("uncoupled, there is one site", "logistic_map LogisticMap.step", "0 -> -1")
