"""The pipeline against the same thing written plainly, one candidate after the other, on worlds of every kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import ClassVar

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.recommenders import rules as all_rules
from experiments.recommenders.base import NOBODY, Candidates, Index, Integers, Model, Reason, Request, Requests
from experiments.recommenders.fitted import FitReport, Fitted, fit
from experiments.recommenders.pipeline import Pipeline, ladder
from experiments.recommenders.rules import Rule, in_stock, margin_floor, one_per_variant
from experiments.recommenders.shelf import Shelf
from tests.experiments.recommenders.conftest import AS_OF, SmallShop
from tests.helpers.effort import scaled


@dataclass(frozen=True)
class Written:
    """A model that answers what it was told; `asked_for` units it knows, else its answer to nobody."""

    tops_up: ClassVar = True
    draws: ClassVar = False
    items: Index
    answers: Integers  # (n, m) codes of each request, filled up with -1
    to_nobody: Integers  # (m,) codes

    def retrieve(self, requests: Requests, n: int) -> Candidates:
        rows = [self.answers[int(name)] for name in requests.ids]
        known = np.array(rows, dtype=np.int64).reshape(len(requests), -1)
        found = np.where(requests.unit[:, None] >= 0, known, self.to_nobody)[:, :n]
        return Candidates(found, np.where(found < 0, np.nan, 1.0))

    def explain(self, request: Request, item_id: str) -> Reason:
        return Reason("told", f"{request.request_id} {item_id}")


def wrap(model: Model, name: str = "written") -> Fitted:
    return Fitted(name, "v1", {}, AS_OF, 0, FitReport(0, 0, 0, 0, ""), model)


# --- the same, written plainly -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plain:
    items: list[int]
    sources: list[int]
    cause: str | None
    removed: list[tuple[int, str]]


def plainly(
    answers: Sequence[Sequence[int]], session: Sequence[int], shelf: Shelf, rules: Sequence[Rule], k: int
) -> Plain:
    """One slate, of each source's candidates in the shelf's codes; -1 is an item the shelf does not know."""
    items: list[int] = []
    sources: list[int] = []
    removed: dict[int, str] = {}
    cause = None
    for source, candidates in enumerate(answers):
        for item in candidates:
            if len(items) == k:
                break
            if item < 0 or not shelf.listed[item] or item in session or item in items or item in removed:
                continue
            why = None
            for rule in sorted(rules, key=lambda rule: rule.keeps is None):
                if rule.keeps is not None and not rule.keeps(shelf)[item]:
                    why = why or rule.name
                if rule.group is not None:
                    group = rule.group(shelf)
                    if sum(group[other] == group[item] for other in items) >= rule.most:
                        why = why or rule.name
            if why:
                removed[item] = why
            else:
                items.append(item)
                sources.append(source)
        if source == 0 and len(items) < k:
            cause = "too_few" if items else "removed_by_rules" if removed else "nothing_retrieved"
    return Plain(items, sources, cause if any(sources) else None, list(removed.items()))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Written, Written, Shelf, Requests, tuple[Rule, ...]]:
    """Two models over their own items, a shelf over others, and up to six requests."""
    n_shelf, n_model, n, width = (draw(st.integers(1, high)) for high in (40, 50, 6, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shares = [draw(st.sampled_from([0.0, 0.2, 0.9])) for _ in range(3)]
    names = [f"i{number:02d}" for number in range(60)]
    index = Index.of(rng.choice(names, n_shelf, replace=False).tolist())
    shelf = Shelf(
        items=index,
        listed=rng.random(n_shelf) >= shares[0],
        price=np.where(rng.random(n_shelf) < 0.1, np.nan, rng.integers(1, 1_000, n_shelf)),
        margin=np.where(rng.random(n_shelf) < 0.1, np.nan, rng.integers(-10, 500, n_shelf)),
        stock=np.where(rng.random(n_shelf) < shares[1], 0.0, np.where(rng.random(n_shelf) < 0.1, np.nan, 3.0)),
        group=rng.integers(0, max(1, round(n_shelf * (1 - shares[2]))), n_shelf),
    )
    models = []
    for _ in range(2):
        known = Index.of(rng.choice(names, n_model, replace=False).tolist())
        answers = np.full((n + 1, min(width, n_model)), -1)
        for row in answers:
            filled = int(rng.integers(0, len(row) + 1))
            row[:filled] = rng.permutation(n_model)[:filled]
        models.append(Written(known, answers[:n], answers[n]))
    requests = Requests(
        module="homepage",
        k=draw(st.integers(1, 9)),
        now=AS_OF,
        ids=[str(row) for row in range(n)],
        unit=np.where(rng.random(n) < 0.8, 0, -1),
        units=Index.of(["somebody"]),
        session=np.where(rng.random((n, 2)) < 0.5, rng.integers(0, 60, (n, 2)), -1),
        items=Index.of(names),
        category=np.full(n, -1),
        categories=NOBODY,
    )
    caps = Rule("two_a_brand", group=lambda shelf: shelf.group % 3, most=2)
    chosen = draw(st.permutations([in_stock(), margin_floor(0.3), one_per_variant(), caps]))
    return models[0], models[1], shelf, requests, tuple(chosen[: draw(st.integers(0, 4))])


@settings(max_examples=scaled(200, 5_000))
@given(worlds())
def test_slates_are_what_the_plain_way_makes(
    world: tuple[Written, Written, Shelf, Requests, tuple[Rule, ...]],
) -> None:
    own, rung, shelf, requests, rules = world
    made = Pipeline(wrap(own), [wrap(rung, "rung")], rules).slates(requests, shelf)
    for row in range(len(requests)):
        first = own.answers[row] if requests.unit[row] >= 0 else own.to_nobody
        answers = [model.items.into(shelf.items)[codes] for model, codes in ((own, first), (rung, rung.to_nobody))]
        session = requests.items.into(shelf.items)[requests.session[row]]
        expected = plainly([found.tolist() for found in answers], session.tolist(), shelf, rules, requests.k)
        slate = made.one(row)
        names = shelf.items.ids
        assert [shown.item_id for shown in slate.items] == [names[item] for item in expected.items]
        assert [shown.source for shown in slate.items] == [("written", "rung")[source] for source in expected.sources]
        assert slate.fallback_cause == expected.cause
        assert [(gone.item_id, gone.rule) for gone in slate.removed] == [
            (names[item], rule) for item, rule in expected.removed
        ]
        # Never short while a valid candidate is left: what is open fits nowhere.
        if len(expected.items) < requests.k:
            shown_or_gone = {*expected.items, *(item for item, _ in expected.removed), *session.tolist(), -1}
            assert all(item in shown_or_gone or not shelf.listed[item] for found in answers for item in found.tolist())


# --- what the plain way does not say -------------------------------------------------------------------------------


def test_the_ladder_is_session_then_category_then_shop(small_shop: SmallShop) -> None:
    names = ("item_knn", "category_popularity", "popularity", "no_recommendations")
    fitted = {name: fit(name, small_shop.data, as_of=AS_OF) for name in names}
    nothing = wrap(Written(NOBODY, np.empty((1, 0), dtype=np.int64), np.empty(0, dtype=np.int64)))
    rungs = ladder({name: fitted[name] for name in reversed(names)})
    assert [rung.name for rung in rungs] == ["item_knn", "category_popularity", "popularity"]

    def sources(k: int, session: tuple[str, ...], category: str | None) -> list[str]:
        request = Request("0", "homepage", k, AS_OF, "u001", session, category)
        slate = Pipeline(nothing, rungs).slate(request, small_shop.shelf)
        assert slate.fallback_cause == "nothing_retrieved"
        return [shown.source for shown in slate.items]

    assert set(sources(2, ("decor-2",), "decor")) == {"item_knn"}
    assert set(sources(2, (), "decor")) == {"category_popularity"}
    assert set(sources(2, (), None)) == {"popularity"}  # the unit has a history, which the ladder does not ask for
    assert list(dict.fromkeys(sources(20, (), "decor"))) == ["category_popularity", "popularity"]


def test_a_rule_holds_until_its_end(small_shop: SmallShop) -> None:
    popular = fit("popularity", small_shop.data, as_of=AS_OF)
    rule = in_stock(set_by="ann", until=AS_OF)
    made = [
        Pipeline(popular, rules=[rule]).slate(Request("0", "homepage", 30, now, "u001"), small_shop.shelf)
        for now in (AS_OF - timedelta(microseconds=1), AS_OF)
    ]
    assert {gone.rule for gone in made[0].removed} == {"in_stock"}
    assert len(made[0].items) < len(made[1].items) == 30
    assert not made[1].removed
    assert made[0].rules_version == made[1].rules_version != all_rules.version([in_stock(set_by="ann")])


def test_what_the_catalogue_does_not_know_removes_nothing(small_shop: SmallShop) -> None:
    shelf = small_shop.shelf
    assert np.isnan(shelf.stock).any()
    assert in_stock().keeps(shelf)[np.isnan(shelf.stock)].all()  # type: ignore[misc]


# --- propensities --------------------------------------------------------------------------------------------------


def test_the_chances_of_all_slates_sum_to_one_and_are_what_happens(small_shop: SmallShop) -> None:
    """Six items, of which one is sold out and two are variants: every slate of two, its chance, and its share."""
    whole, n = small_shop.shelf, scaled(20_000, 500_000)
    random = fit("random", small_shop.data, as_of=AS_OF, seed=3)
    six = np.isin(whole.items.ids, ["rugs-0", "rugs-1", "rugs-3", "decor-2", "decor-4", "decor-6"])
    shelf = Shelf(whole.items, whole.listed & six, whole.price, whole.margin, whole.stock, whole.group)
    requests = Requests(
        module="pdp", k=2, now=AS_OF, ids=[f"slate-{row}" for row in range(n)], unit=np.full(n, -1), units=NOBODY,
        session=np.full((n, 0), -1), items=NOBODY, category=np.full(n, -1), categories=NOBODY,
    )  # fmt: skip
    made = Pipeline(random).slates(requests, shelf)

    codes = whole.items.codes(["rugs-0", "rugs-1", "decor-2", "decor-4", "decor-6"]).tolist()
    chance = {
        (a, b): (1 / 5) * (1 / 3 if a in codes[:2] else 1 / 4)
        for a, b in permutations(codes, 2)
        if {a, b} != set(codes[:2])
    }
    assert abs(sum(chance.values()) - 1) < 1e-12
    slates, counts = np.unique(made.items, axis=0, return_counts=True)
    assert {tuple(slate) for slate in slates.tolist()} == set(chance)
    for slate, count in zip(slates.tolist(), counts.tolist(), strict=True):
        p = chance[tuple(slate)]
        assert abs(count / n - p) < 5 * np.sqrt(p * (1 - p) / n)
    said = made.propensity.prod(axis=1)
    truth = [chance[tuple(slate)] for slate in made.items.tolist()]
    assert np.abs(said - truth).max() < 1e-12


def test_a_drawn_slate_can_be_replayed_and_a_new_item_moves_no_other(small_shop: SmallShop) -> None:
    requests = small_shop.requests(n=50)
    random = fit("random", small_shop.data, as_of=AS_OF, seed=3)
    later = fit("random", small_shop.data, as_of=AS_OF + timedelta(days=3), seed=3)
    assert set(later.model.items.ids) - set(random.model.items.ids) == {"rugs-new"}
    for row in range(50):
        alone = requests.take(np.array([row]))
        before = random.model.items.ids[random.retrieve(alone, 99).items[0]]
        after = later.model.items.ids[later.retrieve(alone, 99).items[0]]
        assert before.tolist() == [name for name in after.tolist() if name != "rugs-new"]
