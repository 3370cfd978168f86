"""Notices reach a real web server and a real mail server, or say which channel failed, why, and what happens next."""

import json
import stat
from collections.abc import Mapping
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from analysis.alerts.model import Cell
from analysis.alerts.notices.channels import Alertmanager, Channel, LineFile, Service, alertmanager_alerts
from analysis.alerts.notices.notify import channels, read
from analysis.alerts.notices.payload import alert_v1
from experiments.errors import DefinitionError, DeliveryError
from experiments.loading import parse_yaml
from experiments.shop import create
from tests.helpers import receivers
from tests.helpers.incidents import evaluation, incident, notice

RESOLVED = notice(incident(state="resolved", members=(), expected=0.0), "resolved:2")
NEXT = "it stays in the outbox and the next `truelift alerts run` sends it again"


def payload(given: Any = None) -> Mapping[str, Any]:
    told = notice() if given is None else given
    return alert_v1(told, names={}, currency="EUR", digits=2, links={"inbox": "https://shop.example/alerts"})


def made(text: str, tag: str | None = "alerts", folder: Path = Path("shop")) -> tuple[Channel, ...]:
    return read(*parse_yaml(text), tag, folder / "notify.yml")


def webhook(port: int, more: str = "") -> Channel:
    [channel] = made(f"urls:\n  - json://127.0.0.1:{port}/hook/SECRET{more}:\n      tag: [alerts, hook]\n")
    return channel


def post(port: int, more: str = "") -> Channel:
    to = f"mailto://me:SECRET@127.0.0.1:{port}?smtp=127.0.0.1&mode=insecure&from=alerts@shop.example{more}"
    [channel] = made(f"urls:\n  - {to}&to=on-call@shop.example:\n      tag: [alerts, on_call]\n")
    return channel


def refused(text: str, tag: str | None = "alerts") -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as raised:
        made(text, tag)
    return [(problem.code, str(problem)) for problem in raised.value.problems]


# --- delivered ---------------------------------------------------------------------------------------------------


def test_a_webhook_gets_title_and_text_once() -> None:
    with receivers.web() as server:
        webhook(server.port).deliver(payload())
    [body] = server.bodies
    assert server.paths == ["/hook/SECRET"]
    assert body["title"] == "Homepage is losing about €48k a day (at least €17k)"
    assert body["message"].startswith("New (page: to look at now), open since 14 December 2026, 01:00 UTC.")
    assert body["message"].endswith("Incident 5d1f00aa12345678, notice open:page:1")
    assert body["type"] == "failure"


def test_a_mail_gets_title_and_text_as_they_are() -> None:
    with receivers.mail() as server:
        post(server.port).deliver(payload())
    [sent] = server.mails
    assert server.recipients == ["on-call@shop.example"]
    [part] = [each for each in sent.walk() if each.get_content_maintype() == "text"]
    body = part.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "Rugs on homepage: als_v2 against control" in body.decode()
    assert str(make_header(decode_header(sent["Subject"]))) == "Homepage is losing about €48k a day (at least €17k)"


@pytest.mark.parametrize(("severity", "kind"), [("page_fast", "failure"), ("ticket", "warning"), ("watch", "info")])
def test_severity_gives_the_kind(severity: Any, kind: str) -> None:
    with receivers.web() as server:
        webhook(server.port).deliver(payload(notice(incident(severity=severity))))
        webhook(server.port).deliver(payload(RESOLVED))
    assert [body["type"] for body in server.bodies] == [kind, "success"]


def test_each_channel_is_told_alone() -> None:
    with receivers.web() as first, receivers.web() as second:
        text = "".join(
            f"  - json://127.0.0.1:{port}/:\n      tag: [alerts, {name}]\n"
            for port, name in ((first.port, "one"), (second.port, "two"))
        )
        one, two = made(f"urls:\n{text}")
        two.deliver(payload())
        assert (len(first.bodies), len(second.bodies)) == (0, 1)
        one.deliver(payload())
        assert (len(first.bodies), len(second.bodies)) == (1, 1)
    assert (one.name, two.name) == ("one", "two")


def test_only_urls_with_the_tag_are_channels() -> None:
    text = "urls:\n  - json://127.0.0.1/:\n      tag: [alerts, one]\n  - json://127.0.0.1/:\n      tag: [reports]\n"
    assert [each.name for each in made(text)] == ["one"]
    always = "  - json://127.0.0.1/:\n      tag: always\n"
    assert [each.name for each in made(text + always)] == ["one"]


# --- not delivered -----------------------------------------------------------------------------------------------


def failed(channel: Channel) -> str:
    with pytest.raises(DeliveryError) as raised:
        channel.deliver(payload())
    assert "SECRET" not in str(raised.value)
    assert raised.value.exit_code == 4
    assert raised.value.channel == channel.name
    return str(raised.value)


def test_a_webhook_that_refuses_says_so() -> None:
    with receivers.web("refuses") as server:
        said = failed(webhook(server.port))
    assert said.startswith("channel hook: not delivered, failed to send JSON POST notification:")
    assert "error=503" in said
    assert said.endswith(f"{NEXT}; if that goes on, look at urls[0] of notify.yml")


def test_a_webhook_that_dawdles_is_given_up() -> None:
    with receivers.web("dawdles") as server:
        said = failed(webhook(server.port, "?rto=0.3"))
    assert "a Connection error occurred" in said
    assert "(after 0." in said


def test_a_service_that_never_ends_is_given_up_after_its_time() -> None:
    with receivers.web("dawdles") as server:
        channel = webhook(server.port, "?rto=15")
        assert isinstance(channel, Service)
        short = Service(channel.name, channel.tag, channel.entry, channel.service, seconds=0.3)
        said = failed(short)
        server.released.set()
    assert "not done after 0.3 seconds" in said


def test_a_webhook_that_thinks_for_longer_than_a_service_waits_by_itself_is_waited_for() -> None:
    """apprise's services give up after 4 seconds each; a channel has 30, whatever it is."""
    with receivers.web() as server:
        server.delay = 4.5
        webhook(server.port).deliver(payload())
    assert len(server.bodies) == 1


@pytest.mark.parametrize(("more", "waits"), [("", (30.0, 30.0)), ("?rto=9", (30.0, 9.0)), ("?cto=4.0", (4.0, 30.0))])
def test_a_service_waits_as_long_as_its_channel_but_where_its_url_says_otherwise(
    more: str, waits: tuple[float, float]
) -> None:
    channel = webhook(1, more)
    assert isinstance(channel, Service)
    assert channel.service.request_timeout == waits
    assert channel.seconds == Alertmanager("http://localhost:9093").seconds == 30.0


def test_a_webhook_that_is_down_says_so() -> None:
    assert "a Connection error occurred" in failed(webhook(receivers.nobody()))


def test_a_mail_server_that_refuses_says_so() -> None:
    with receivers.mail("refuses") as server:
        said = failed(post(server.port))
    assert said.startswith('channel on_call: not delivered, sending email to "on-call@shop.example" failed')
    assert server.mails == []


def test_a_mail_server_that_dawdles_is_given_up() -> None:
    with receivers.mail("dawdles") as server:
        said = failed(post(server.port, "&cto=0.3"))
    assert "connection error" in said.lower()


def test_a_mail_server_that_is_down_says_so() -> None:
    assert 'connection error while submitting email to "127.0.0.1"' in failed(post(receivers.nobody()))


def test_tags_that_no_url_has_are_no_delivery_and_no_silence() -> None:
    with receivers.web() as server:
        channel = webhook(server.port)
        assert isinstance(channel, Service)
        said = failed(Service("other", "alerts", channel.entry, channel.service))
    assert "no url has the tags alerts and other" in said
    assert server.bodies == []


def test_a_service_that_recovers_takes_the_same_notice() -> None:
    with receivers.web("refuses") as server:
        channel = webhook(server.port)
        failed(channel)
        server.manner = "takes"
        channel.deliver(payload())
    assert len(server.bodies) == 1


# --- stdout, file, alertmanager ----------------------------------------------------------------------------------


def test_stdout_is_one_json_line_a_notice(capsys: pytest.CaptureFixture[str]) -> None:
    [channel] = made("truelift: {stdout: true}", None)
    channel.deliver(payload())
    channel.deliver(payload(RESOLVED))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [payload(), payload(RESOLVED)]


def test_a_file_only_grows_by_whole_lines(tmp_path: Path) -> None:
    [channel] = made("truelift: {file: alerts.jsonl}", None, tmp_path)
    path = tmp_path / "alerts.jsonl"
    channel.deliver(payload())
    before = path.read_bytes()
    with path.open("ab") as torn:
        torn.write(b'{"half')
    channel.deliver(payload(RESOLVED))
    lines = path.read_bytes().splitlines()
    assert path.read_bytes().startswith(before)
    assert lines[1] == b'{"half'
    assert [json.loads(lines[0]), json.loads(lines[2])] == [payload(), payload(RESOLVED)]


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    missing = LineFile(tmp_path / "no" / "alerts.jsonl")
    assert f"{tmp_path / 'no' / 'alerts.jsonl'}: No such file or directory" in failed(missing)
    folder = LineFile(tmp_path)
    assert "see that" in failed(folder)


def test_a_full_disk_is_no_delivery() -> None:
    full = Path("/dev/full")
    if not full.exists() or not stat.S_ISCHR(full.stat().st_mode):
        pytest.skip("this machine has no /dev/full")
    assert "No space left on device" in failed(LineFile(full))


def test_an_alertmanager_gets_one_alert_under_its_severity() -> None:
    with receivers.web() as server:
        [channel] = made(f"truelift: {{alertmanager: 'http://127.0.0.1:{server.port}/'}}", None)
        channel.deliver(payload())
        channel.deliver(payload(RESOLVED))
    assert server.paths == ["/api/v2/alerts"] * 2
    opened, resolved = server.bodies
    standing = [each for each in opened if each["endsAt"] > "2026-12-14T06:00:00Z"]
    [alert] = standing
    assert alert["labels"] == {
        "alertname": "truelift", "incident": "5d1f00aa12345678", "module": "homepage", "family": "money",
        "severity": "page",
    }  # fmt: skip
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-12-14T01:00:00Z", "2026-12-22T06:00:00Z")
    assert alert["annotations"]["summary"] == "Homepage is losing about €48k a day (at least €17k)"
    assert alert["generatorURL"] == "https://shop.example/alerts"
    assert {each["endsAt"] for each in resolved} == {"2026-12-14T06:00:00Z"}
    assert sorted(each["labels"]["severity"] for each in resolved) == [
        *("digest", "page", "page_fast", "ticket", "watch"),
    ]


def test_an_alert_of_the_whole_site_has_a_module_label_too() -> None:
    site = incident(module="", members=(evaluation(Cell()),))
    assert {each["labels"]["module"] for each in alertmanager_alerts(payload(notice(site)))} == {"site"}  # type: ignore[index]


def test_an_alertmanager_that_refuses_dawdles_or_is_down_says_so() -> None:
    with receivers.web("refuses") as server:
        said = failed(Alertmanager(f"http://me:SECRET@127.0.0.1:{server.port}"))
    assert "answered 503: not today; " in said
    assert "see that the Alertmanager at 127.0.0.1 answers" in said
    with receivers.web("dawdles") as server:
        assert "no answer within 0.3 seconds" in failed(Alertmanager(f"http://127.0.0.1:{server.port}", seconds=0.3))
    assert "Connection refused" in failed(Alertmanager(f"http://me:SECRET@127.0.0.1:{receivers.nobody()}"))


# --- what is refused ---------------------------------------------------------------------------------------------


def test_no_file_no_channel(tmp_path: Path) -> None:
    assert channels(create(tmp_path / "shop")) == ()


def test_a_tag_without_a_file_fits_nothing(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    shop.money_file.write_text("schema_version: 1\nnotify_tag: alerts\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"notify_tag is alerts and there is no notify\.yml"):
        channels(shop)


def test_the_shops_file_is_read_with_the_tag_of_money_yml(tmp_path: Path) -> None:
    shop = create(tmp_path / "shop")
    shop.money_file.write_text("schema_version: 1\nnotify_tag: Alerts\n", encoding="utf-8")
    (shop.home / "notify.yml").write_text(
        "urls:\n  - json://127.0.0.1/:\n      tag: [alerts, hook]\ntruelift: {file: told.jsonl}\n", encoding="utf-8"
    )
    hook, file = channels(shop)
    assert hook.name == "hook"
    assert file == LineFile(shop.home / "told.jsonl")


def test_a_tag_that_no_url_has_is_an_error() -> None:
    [(code, said)] = refused("urls:\n  - json://127.0.0.1/:\n      tag: [reports]\n")
    assert code == "no_match"
    assert "no url has the tag alerts, which money.yml names as notify_tag" in said
    assert "tags here: reports" in said


@pytest.mark.parametrize("urls", ["", "urls: []\n"])
def test_what_needs_no_service_needs_no_tag_and_no_url(urls: str) -> None:
    own = "truelift: {stdout: true, file: told.jsonl, alertmanager: 'http://localhost:9093'}\n"
    for tag in ("alerts", None):
        assert [each.name for each in made(urls + own, tag)] == ["stdout", "file", "alertmanager"]


@pytest.mark.parametrize("text", ["version: 1\n", "urls: []\n", "urls: []\ntruelift: {stdout: false}\n"])
def test_a_tag_that_tells_nobody_is_an_error(text: str) -> None:
    [(code, said)] = refused(text)
    assert (code, "no url has the tag alerts" in said) == ("no_match", True)
    assert made(text, None) == ()


def test_once_there_are_urls_one_has_the_tag_whatever_else_is_told() -> None:
    [(code, _)] = refused("urls:\n  - json://127.0.0.1/:\n      tag: [reports]\ntruelift: {stdout: true}\n")
    assert code == "no_match"


def test_urls_without_a_tag_in_money_yml_are_an_error() -> None:
    [(code, said)] = refused("urls:\n  - json://127.0.0.1/:\n      tag: [reports]\n", None)
    assert code == "no_tag"
    assert "notify_tag: alerts" in said


def test_every_problem_is_told_at_once_with_its_line_and_without_a_secret() -> None:
    found = refused(
        "urls:\n"
        "  - foo://hooks.example/SECRET\n"
        "  - nonsense\n"
        "  - mailto://me:SECRET@127.0.0.1?smtp=127.0.0.1&from=a@shop.example&to=nobody:\n      tag: [alerts, post]\n"
        "  - json://127.0.0.1/:\n      tag: [alerts]\n"
        "  - json://127.0.0.1/one?optional=yes:\n      tag: [alerts, one]\n"
        "  - json://127.0.0.1/two:\n      tag: [alerts, file]\n"
        "  - json://127.0.0.1/three:\n      tag: [alerts, a, b]\n"
    )
    assert [code for code, _ in found] == [
        *("bad_url", "bad_url", "bad_url", "no_name", "optional", "no_name", "no_name"),
    ]
    said = "\n".join(line for _, line in found)
    assert "SECRET" not in said
    assert "line 2, urls[0]" in found[0][1]
    assert "Dropped invalid To email" in said
    assert "has 0 tags that no other url of alerts has (none)" in said
    assert "is called file, which is no name for a url" in said
    assert "has 2 tags that no other url of alerts has (a, b)" in said


def test_what_is_wrong_with_the_urls_does_not_wait_for_what_is_wrong_with_the_rest() -> None:
    found = refused(
        "version: 3\n"
        "urls:\n"
        "  - jsn://hooks.example/SECRET:\n      tag: [reports, hook]\n"
        "  - mailtos://:\n      tag: [reports, post]\n"
        "  - json://127.0.0.1/:\n      tag: [alrets, one]\n"
        "url: x\n"
        "truelift: {alertmanager: 'me:SECRET@localhost:9093', stdout: true}\n"
    )
    said = "\n".join(line for _, line in found)
    assert [code for code, _ in found] == [
        *("unknown_value", "no_match", "bad_url", "bad_url", "unknown_field", "value"),
    ], said
    assert "SECRET" not in said
    for part in ("version: 3 is none of 1", "no url has the tag alerts", "urls[0]", "urls[1]", "nearest: urls"):
        assert part in said, said


def test_a_url_that_is_wrong_and_has_the_tag_is_no_missing_tag() -> None:
    for tags in ("[Alerts, hook]", "alerts"):
        assert [code for code, _ in refused(f"urls:\n  - jsn://h/:\n      tag: {tags}\n")] == ["bad_url"]
    assert [code for code, _ in refused("tag: alerts\nurls:\n  - jsn://h/\n")] == ["bad_url"]


def test_without_a_tag_in_money_yml_what_else_is_wrong_is_said_too() -> None:
    found = refused("version: 3\nurls:\n  - json://127.0.0.1/:\n      tag: [reports]\n", None)
    assert [code for code, _ in found] == ["unknown_value", "no_tag"]
    assert [code for code, _ in refused("urls:\n  - jsn://h/:\n      tag: [reports]\n", None)] == ["no_tag", "bad_url"]


def test_a_wrong_part_of_ours_is_not_one_that_tells_nobody() -> None:
    [(code, said)] = refused("truelift: {alertmanager: 'localhost:9093'}")
    assert code == "value"
    assert said == "line 1, truelift.alertmanager: is not an Alertmanager's address; give http://HOST:PORT"
    [(_, empty)] = refused("truelift: {file: ''}", None)
    assert empty == "line 1, truelift.file: is empty; write what it is, or remove it"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("urls: [", "yaml"),
        ("version: 2\nurls: []", "version"),
        ("include: http://other.example/more.yml", "include is not a known field"),
        ("template: {A: b}", "template is not a known field"),
        ("truelift: {slack: true}", "slack is not a known field"),
        ("truelift: {alertmanager: 'localhost:9093'}", "alertmanager"),
        ("urls: json://127.0.0.1", "urls"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, part: str) -> None:
    assert part in str(refused(text, None))
