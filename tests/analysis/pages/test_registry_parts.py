"""What the registry page makes of texts that are too long for it."""

from analysis.pages.registry_parts import LONG_REASON, _reason


def test_a_long_reason_is_folded_behind_its_beginning() -> None:
    short, long = "a <b>", "why " * 25_000
    assert _reason(short) == "<q>a &lt;b&gt;</q>"
    told = _reason(long)
    summary, rest = told.split("</summary>")
    assert summary == f"<details><summary><q>{long[:LONG_REASON]}…</q>"
    assert rest == f"<q>{long}</q></details>"
