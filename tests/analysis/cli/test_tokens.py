"""`truelift token`: the secret is shown once, kept as a digest, and gone when it is revoked."""

import sys
from pathlib import Path

import pytest

from analysis import cli
from assignment.service.auth import digest_of
from experiments.shop import Shop, create
from experiments.store import Store


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return create(tmp_path / "shop")


def run(
    words: list[str], shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["truelift", "token", *words, "--home", str(shop.home)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return int(str(ended.value.code or 0)), said.out, " ".join(said.err.split())


def test_a_token_from_its_making_to_its_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["create", "page", "--scope", "evaluate", "--scope", "write_events", "--days", "30", "--reason", "launch"]
    code, out, err = run(words, shop, monkeypatch, capsys)
    secret = out.strip()
    assert (code, "may evaluate, write_events" in err, len(secret)) == (0, True, 46)
    with Store.open(shop.store_url) as store:
        [kept] = store.tokens()
        assert (kept.name, kept.digest) == ("page", digest_of(secret))
        assert kept.expires_at is not None
        assert (kept.expires_at - kept.created_at).days == 30
        assert [row.reason for row in store.audit()] == ["launch"]
        assert secret not in str(store.audit())
    assert "page  evaluate, write_events  valid, until" in run(["list"], shop, monkeypatch, capsys)[1]
    assert run(["revoke", "page"], shop, monkeypatch, capsys)[0] == 0
    assert "revoked" in run(["list"], shop, monkeypatch, capsys)[1]
    code, _, err = run(["revoke", "page"], shop, monkeypatch, capsys)
    assert (code, "no valid token is called 'page'" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "page"], "at least one scope"),
        (["create", "--scope", "read"], "name of 1 to 64 characters"),
        (["create", "page", "--scope", "evaluat"], "nearest: evaluate"),
        (["revoke", "nobody"], "no valid token is called 'nobody'"),
        (["destroy"], "Invalid value"),
    ],
)
def test_what_is_refused(
    words: list[str], said: str, shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(words, shop, monkeypatch, capsys)
    assert (code, said in err) == (2, True), err


def test_days_beyond_the_calendar_and_endless_reasons_are_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["create", "page", "--scope", "read"]
    code, _, err = run([*words, "--days", "99999999999"], shop, monkeypatch, capsys)
    assert (code, "--days 99999999999: give 1 to 36,500, or leave it out" in err) == (2, True), err
    code, _, err = run([*words, "--reason", "x" * 1_001], shop, monkeypatch, capsys)
    assert (code, "reason has 1,001 characters and may have 1,000; say it shorter" in err) == (2, True), err
    with Store.open(shop.store_url) as store:
        assert (store.tokens(), store.audit()) == ([], [])
    assert run([*words, "--reason", "x" * 1_000], shop, monkeypatch, capsys)[0] == 0
