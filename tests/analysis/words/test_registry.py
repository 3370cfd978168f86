"""What the registry says in words."""

import pytest

from analysis.words import NOT_FOR_READERS
from analysis.words import registry as say
from experiments.lifecycle import ALLOWED
from experiments.placement import Targeting


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"all": [{"attribute": "os", "operator": "ONE_OF", "value": ["web", "ios"]}]}, "os is one of web, ios"),
        (
            {"all": [{"attribute": "age", "operator": "GTE", "value": 18},
                     {"any": [{"attribute": "country", "operator": "EQ", "value": "DE"},
                              {"attribute": "vip", "operator": "EQ", "value": True}]}]},
            "age is at least 18 and (country is DE or vip is true)",
        ),
        ({"any": [{"attribute": "id", "operator": "IS_NULL"}]}, "id is missing"),
        ({"any": [{"attribute": "id", "operator": "IS_NULL", "value": False}]}, "id is given"),
        ({"all": [{"attribute": "path", "operator": "MATCHES", "value": "^/sale"}]}, "path matches ^/sale"),
        ({"all": []}, "anything holds"),
        ({"any": []}, "nothing holds"),
    ],
)  # fmt: skip
def test_targeting_reads_as_a_sentence(given: object, told: str) -> None:
    assert say.targeting(Targeting.model_validate(given)) == told


@pytest.mark.parametrize(
    ("part", "told"), [(0.0, "0%"), (0.00005, "under 0.01%"), (0.114, "11.4%"), (0.05, "5%"), (1.0, "100%")]
)
def test_a_share_is_never_rounded_to_nothing(part: float, told: str) -> None:
    assert say.share(part) == told


def test_every_step_of_the_lifecycle_has_a_command_and_words() -> None:
    words = {word for allowed in ALLOWED.values() for word in allowed}
    assert words <= set(say.COMMANDS)
    assert set(say.COMMANDS) == set(say.STEPS)


def test_no_word_is_one_that_readers_do_not_get() -> None:
    texts = [value for name, value in vars(say).items() if name.isupper() and isinstance(value, str)]
    texts += [
        text
        for name, value in vars(say).items()
        if name.isupper() and isinstance(value, dict)
        for text in value.values()
    ]
    assert len(texts) > 60
    assert [text for text in texts for word in NOT_FOR_READERS if word in text.lower()] == []


def test_the_headline_leaves_out_what_is_zero() -> None:
    assert say.headline(["running", "killed", "over", "archived"]) == (
        "1 running · 1 paused or killed · 1 to be decided · 1 done"
    )
    assert say.headline(["draft"]) == "1 not begun"
