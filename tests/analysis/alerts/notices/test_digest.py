"""The weekly digest: what it says, that it is the same twice, and that precision is a plain recount."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.alerts.course.acts import Act, Matcher
from analysis.alerts.course.standing import Case, Closed, Standing
from analysis.alerts.model import Cell, Evaluation, Incident, Resolution
from analysis.alerts.notices.digest import digest, precision
from tests.helpers.incidents import AT, evaluation, incident

WEEK = AT - timedelta(days=7)
CODES: tuple[Resolution | None, ...] = (
    *("real_regression", "data_issue", "expected_change", "no_cause_found"),
    None,
)


def standing(*incidents: Incident, closed: tuple[Closed, ...] = (), silences: tuple[Act, ...] = ()) -> Standing:
    return Standing(at=AT, cases={one.incident_id: Case(one) for one in incidents}, closed=closed, silences=silences)


def closed(count: int, code: Resolution | None, rule: str = "launch_regression", first: int = 0) -> list[Closed]:
    return [Closed(f"{rule}{first + at}", rule, 1, "page", AT, 1_000_00.0, code) for at in range(count)]


def said(given: Standing, evaluations: tuple[Evaluation, ...] = ()) -> str:
    return digest(
        given,
        evaluations,
        since=WEEK,
        until=AT + timedelta(days=1),
        currency="EUR",
        digits=2,
        names={"pdp": "Product page"},
    )


def full() -> tuple[Standing, tuple[Evaluation, ...]]:
    """A week with one of everything."""
    mail = incident("b" * 16, module="email", expected=2_000_00.0, at_least=0.0, lost=4_000_00.0, severity="ticket")
    silence = Act("silence", "ann", WEEK, "a campaign ends", "b" * 16, expires_at=AT + timedelta(days=2))
    stock = Act("silence", "bob", WEEK, "stock count", matcher=Matcher("cart"), expires_at=AT + timedelta(days=1))
    given = standing(
        incident("a" * 16),
        replace(mail, silenced_until=AT + timedelta(days=2), silenced_by="ann"),
        incident("c" * 16, module="pdp", state="resolved", members=(), expected=0.0, resolution="data_issue"),
        incident("d" * 16, module="cart", state="resolved", members=(), expected=0.0),
        incident("e" * 16, module="cart", severity="watch", expected=210_00.0, at_least=0.0, lost=600_00.0),
        closed=(
            *closed(4, "real_regression"),
            *closed(5, "data_issue", first=4),
            *closed(3, "no_cause_found", first=9),
        ),
        silences=(silence, stock),
    )
    small = tuple(
        evaluation(Cell("pdp", f"c{at}"), severity="digest", expected=100.0 * at, at_least=0.0, why_not=f"Noise {at}.")
        for at in range(9)
    )
    return given, small


def test_the_whole_text() -> None:
    assert said(*full()) == (
        """\
Alerts from 7 December 2026 to 15 December 2026
“About” is what to expect, “at least” is 95% sure; amounts are margin (what is kept of sales), not revenue.

Open: 1 incident, together losing about €48k a day (at least €17k)
- Page: Homepage is losing about €48k a day (at least €17k), since 14 December 2026, 01:00 UTC. Lost so far: about €12k.

Ended this week: 2 incidents
- Product page: over, after a loss of about €12k. It was a data issue.
- Cart: over, after a loss of about €12k. Say what it was: `truelift alerts resolve dddddddddddddddd --as … --reason …`.

Silenced: 1 incident
- Email is losing about €2,000 a day; silenced by ann until 16 December 2026, 06:00 UTC. Lost so far: about €4,000.
- Cart: nothing to silence now; silenced by bob until 15 December 2026, 06:00 UTC (stock count).

How often each rule was right
- Launch regression, version 1: 4 of 12 real (33%); 5 data issues, 3 without a cause

Proposals
- Launch regression, version 1, was right less than half the time: let it wake nobody.

Watch list: 1 incident
- Watch: Cart is losing about €210 a day, since 14 December 2026, 01:00 UTC. Lost so far: about €600.

Too little to say more: 8 places
- C8 on product page: about €8.00 a day. Noise 8.
- C7 on product page: about €7.00 a day. Noise 7.
- C6 on product page: about €6.00 a day. Noise 6.
- C5 on product page: about €5.00 a day. Noise 5.
- C4 on product page: about €4.00 a day. Noise 4.
- and 3 more with less
"""
    )


def test_an_empty_week_says_so() -> None:
    assert said(Standing()) == (
        """\
Alerts from 7 December 2026 to 15 December 2026
“About” is what to expect, “at least” is 95% sure; amounts are margin (what is kept of sales), not revenue.

Open: no incident

Ended this week: no incident

Silenced: no incident

How often each rule was right: nothing that was told is over yet

Proposals: none

Watch list: nothing

Too little to say more: nothing
"""
    )


@given(seed=st.integers(0, 1000))
def test_it_is_the_same_whatever_order_things_come_in(seed: int) -> None:
    given, small = full()
    cases, mixed = list(given.cases.items()), list(small)
    Random(seed).shuffle(cases)
    Random(seed).shuffle(mixed)
    assert said(replace(given, cases=dict(cases)), tuple(mixed)) == said(given, small)


def test_what_was_over_before_the_week_is_not_told() -> None:
    old = replace(incident("c" * 16, state="resolved"), changed_at=WEEK - timedelta(seconds=1))
    assert "Ended this week: no incident" in said(standing(old))
    assert "Ended this week: 1 incident" in said(standing(replace(old, changed_at=WEEK)))


def test_what_is_held_or_inhibited_is_shown_and_not_summed() -> None:
    held = incident("a" * 16, held=True)
    part = incident("b" * 16, module="pdp", inhibited_by="not the recommender")
    told = said(standing(held, part))
    assert "Open: no incident; 1 held; 1 within another\n" in told
    assert (
        "Homepage: a loss that is not believed while a signal check fails, since 14 December 2026, 01:00 UTC.\n"
    ) in told  # and no amount
    assert "The whole site is below what the seasons lead to expect, so this place alone does not explain it." in told


def test_a_cell_of_an_incident_is_not_told_twice() -> None:
    small = evaluation(Cell("homepage", "decor"), severity="digest", expected=10_00.0)
    assert "Too little to say more: nothing" in said(standing(incident()), (small,))


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(CODES)), max_size=40))
def test_precision_is_a_plain_recount(told: list[tuple[str, Resolution | None]]) -> None:
    every = [Closed(str(at), rule, 1, "page", AT, 0.0, code) for at, (rule, code) in enumerate(told)]
    found = {one.rule: one for one in precision(every)}
    counts = Counter(told)
    assert set(found) == {rule for rule, _ in told}
    for rule, one in found.items():
        coded = [code for name, code in told if name == rule and code is not None]
        assert one.said == len(coded)
        assert one.unsaid == counts[rule, None]
        right = coded.count("real_regression")
        assert one.share == (pytest.approx(right / len(coded)) if coded else None)
        assert one.demoted == (len(coded) >= 10 and right < len(coded) - right)


@pytest.mark.parametrize(("real", "wrong", "demoted"), [(4, 5, False), (4, 6, True), (5, 5, False), (0, 10, True)])
def test_a_rule_is_proposed_for_demotion_below_half_over_ten(real: int, wrong: int, *, demoted: bool) -> None:
    every = (*closed(real, "real_regression"), *closed(wrong, "no_cause_found", first=real))
    [one] = precision(every)
    assert one.demoted == demoted
    assert ("let it wake nobody" in said(standing(closed=every))) == demoted
