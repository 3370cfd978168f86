"""Strips hold every bucket exactly once, and shares multiply as the draws are independent."""

from fractions import Fraction

import pytest

from analysis.drawing import contrast
from analysis.pages.views import registry as view
from analysis.pages.views.registry import Book
from analysis.registry import charts
from analysis.registry.buckets import owners, part, strips
from analysis.registry.course import Course
from assignment.hashing import bucket
from experiments.layers import Ground
from experiments.spec import Live, Phase
from tests.analysis.registry.conftest import NOW, values
from tests.helpers import registry_shop as shop
from tests.helpers.assigned_shop import Desk
from tests.helpers.definitions import INTERLEAVING, layer_of


def newest(course: Course) -> tuple[Phase, Live] | None:
    return course.phases[-1] if course.phases else None


@pytest.mark.parametrize(
    "key", [shop.RAMPED, shop.PHASES, shop.OLD, shop.KILLED, shop.LATER, shop.DRAFT, shop.ELSEWHERE, shop.OVER]
)
@pytest.mark.parametrize("gone", [False, True])
def test_every_strip_holds_every_bucket_once(book: Book, key: str, gone: bool) -> None:
    course = book.course(key)
    found = strips(course, newest(course), Ground() if gone else book.ground, book.courses)
    assert found
    for strip in found:
        assert [band.begin for band in strip.bands] == [0, *(band.end for band in strip.bands[:-1])]
        assert strip.bands[-1].end == 10_000


def test_who_owns_what_of_the_layer_and_what_is_free(book: Book) -> None:
    course = book.course(shop.RAMPED)
    held, layer, traffic, split = strips(course, newest(course), book.ground, book.courses)
    assert [(band.who, band.share) for band in layer.bands] == [
        (shop.RAMPED, "60%"), (shop.PHASES, "20%"), (f"{shop.DRAFT} (draft)", "10%"), ("free", "10%"),
    ]  # fmt: skip
    assert [each.told for each in (held, layer, traffic, split)] == ["5% held out", "10% free", "20% takes part", ""]
    assert [band.who for band in split.bands] == ["control", "als_v2"]


def test_what_is_over_shows_what_it_had_beside_who_owns_it_now(book: Book) -> None:
    course = book.course(shop.OLD)
    had, now = strips(course, newest(course), book.ground, book.courses)[:2]
    assert [(band.begin, band.end) for band in had.bands if band.meaning == "own"] == [(8000, 10_000)]
    assert shop.OLD not in owners("homepage", book.courses)
    assert [band.who for band in now.bands if band.begin >= 8000] == [f"{shop.DRAFT} (draft)", "free"]


def test_a_layer_that_is_gone_is_said(book: Book) -> None:
    course = book.course(shop.OLD)
    [had, *_] = strips(course, newest(course), Ground(), book.courses)
    assert had.note == "Layer homepage is no longer registered; this is what the experiment had of it."


def test_another_systems_split_is_shares_and_nothing_else(book: Book) -> None:
    course = book.course(shop.ELSEWHERE)
    [split] = strips(course, newest(course), book.ground, book.courses)
    assert [(band.who, band.share) for band in split.bands] == [("control", "50%"), ("als_v2", "50%")]
    assert part(course, newest(course), book.ground) is None


def test_an_interleaving_splits_nobody(desk: Desk) -> None:
    (desk.shop.layers / "search.yml").write_text(layer_of("search", "request"))
    desk.propose(INTERLEAVING)
    known = view.read(desk.store)
    [course] = known.courses
    assert [strip.title for strip in strips(course, None, known.ground, known.courses)] == [
        "Layer search, now",
        "Traffic",
    ]
    told = view.sentences(course, None, known.ground, None, NOW)
    assert "All requests would be in it." in told


def test_the_share_of_all_units_is_what_hashing_gives(book: Book) -> None:
    course = book.course(shop.RAMPED)
    share = part(course, newest(course), book.ground)
    assert share == Fraction(95, 100) * Fraction(60, 100) * Fraction(20, 100)
    units = [f"u{number}" for number in range(20_000)]
    layer = book.ground.layers["homepage"].salt
    met = sum(
        bucket("holdout.global_h2:holdout", unit) >= 500
        and bucket(f"{layer}:layer", unit) < 6000
        and bucket("home_als_v3.1:traffic", unit) < 2000
        for unit in units
    )
    assert met / len(units) == pytest.approx(float(share), abs=0.007)  # three standard errors


def test_text_in_a_band_is_legible_and_every_band_is_drawn(book: Book) -> None:
    for course in book.courses:
        found = strips(course, newest(course), book.ground, book.courses)
        chart = charts.buckets(found)
        drawn = values(chart)[0]
        assert len(drawn) == sum(len(strip.bands) for strip in found)
        assert min(contrast(str(each["ink"]), str(each["fill"])) for each in drawn) >= 4.5
        for strip in found:
            assert strip.title in chart.to_dict()["description"]
