"""Who is at the same time, and whether the same unit may be in both."""

from dataclasses import replace
from datetime import timedelta

from analysis.pages.views import registry as view
from analysis.pages.views.registry import Book
from analysis.registry.course import Course
from analysis.registry.overlaps import Overlap, covering, overlaps
from experiments.spec import Assigned
from tests.helpers import registry_shop as shop


def by_key(course: Course, book: Book) -> dict[str, Overlap]:
    return {each.key: each for each in overlaps(course, book.courses)}


def with_buckets(course: Course, buckets: tuple[tuple[int, int], ...]) -> Course:
    """The draft as it would be with other buckets."""
    own = course.assigned
    assert isinstance(own, Assigned)
    use = own.layer.model_copy(update={"ranges": buckets})
    return replace(course, registered=replace(course.registered, experiment=own.model_copy(update={"layer": use})))


def test_one_layer_excludes_and_another_is_independent(book: Book) -> None:
    found = by_key(book.course(shop.RAMPED), book)
    assert {key: each.relation for key, each in found.items()} == {
        shop.PHASES: "same_layer",
        shop.KILLED: "independent",
        shop.LATER: "independent",
        shop.ELSEWHERE: "elsewhere",
        shop.OVER: "elsewhere",
    }
    assert found[shop.PHASES].buckets == ((6000, 8000),)
    assert found[shop.PHASES].modules == ("homepage",)


def test_time_together_is_from_the_later_start_to_the_earlier_end(book: Book) -> None:
    for each in by_key(book.course(shop.RAMPED), book).values():
        one, other = book.course(shop.RAMPED).span(), book.course(each.key).span()
        assert each.since == max(one[0], other[0])
        assert each.until == min(end for end in (one[1], other[1]) if end is not None)


def test_what_ended_before_is_no_overlap_either_way(book: Book) -> None:
    assert shop.OLD not in by_key(book.course(shop.RAMPED), book)
    assert overlaps(book.course(shop.OLD), book.courses) == ()


def test_overlap_is_mutual(book: Book) -> None:
    pairs = {(one.key, each.key, each.relation) for one in book.courses for each in overlaps(one, book.courses)}
    assert pairs == {(other, one, relation) for one, other, relation in pairs}


def test_shared_buckets_are_said_first(book: Book) -> None:
    draft = with_buckets(book.course(shop.DRAFT), ((5000, 7000),))
    [first, *_] = overlaps(draft, book.courses)
    assert (first.key, first.relation, first.buckets) == (shop.PHASES, "collides", ((6000, 7000),))
    texts = view.overlap_rows(draft, book)[0]
    assert "Shares buckets of its layer" in texts[3]


def test_units_of_another_kind_are_not_called_independent(book: Book) -> None:
    later = book.course(shop.LATER)
    other = later.experiment.model_copy(update={"unit_type": "session"})
    crowd = (replace(later, registered=replace(later.registered, experiment=other)),)
    [found] = overlaps(book.course(shop.RAMPED), crowd)
    assert found.relation == "other_unit"


def test_holdouts_are_told_by_whether_it_gives_way_to_them(book: Book) -> None:
    held = book.ground.holdouts
    assert [(each.key, each.named) for each in covering(book.course(shop.RAMPED), held)] == [("global_h2", True)]
    assert [(each.key, each.named) for each in covering(book.course(shop.PHASES), held)] == [("global_h2", False)]
    assert covering(book.course(shop.LATER), held) == ()  # the cart is not one of its modules
    [gone] = covering(book.course(shop.RAMPED), {})
    assert gone.holdout is None
    named, unnamed = (view.holdout_rows(book.course(key), book)[0] for key in (shop.RAMPED, shop.PHASES))
    assert named[:4] == ("global_h2", "5%", "No recommendations", "No recommendations at all")
    assert named[5] == "Its members meet no recommendations in place of this experiment."
    assert unnamed[5] == "It is not named here: its members take part in this experiment."


def test_an_end_that_nobody_planned_is_open(book: Book) -> None:
    blend, draft = book.course(shop.PHASES), book.course(shop.DRAFT)
    [both] = [each for each in overlaps(blend, book.courses) if each.key == shop.DRAFT]
    assert (both.since, both.until) == (draft.begin, None)
    assert draft.begin - blend.begin > timedelta(days=40)
