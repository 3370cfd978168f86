"""What the alerts remember between two runs: units of work, frozen baselines, the standing, acts, outbox, heartbeat.

Bodies are canonical JSON of whoever writes them; here they are text. A step is one transaction: either everything that
one bucket end brought about stands here, notices to be told included, or nothing of it. ALERTS 6.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from experiments.errors import ConflictError
from experiments.store import tables
from experiments.store.engine import reading, writing
from experiments.store.lock import held

OutboxState = Literal["waiting", "due", "delivered", "superseded", "withdrawn", "dropped"]
_u, _b, _s, _a, _o, _r = (
    table.c
    for table in (
        tables.alert_units, tables.alert_baselines, tables.alert_standing, tables.alert_acts, tables.alert_outbox,
        tables.alert_runs,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlertUnit:
    """A unit of work that was done: what it found, and its detector afterwards. A later revision replaces it."""

    fingerprint: str
    at: datetime
    revision: int
    evaluation: str
    detector: str | None = None


@dataclass(frozen=True, slots=True)
class AlertBaseline:
    """How a unit of work stood before a change; frozen once written."""

    fingerprint: str
    change_at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class AlertStanding:
    """Where everything stands after the newest bucket end that was evaluated."""

    at: datetime
    body: str
    seen: datetime | None = None  # the newest publication that was taken into account


@dataclass(frozen=True, slots=True)
class AlertAct:
    """What a person did: acknowledged, silenced, resolved."""

    number: int
    at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class AlertNotice:
    """One notice for one channel. It waits until its run is through, is due until it is delivered."""

    incident: str
    transition: str
    channel: str
    at: datetime
    notice: str
    number: int = 0  # the order of telling; the store fills it in
    state: OutboxState = "waiting"
    payload: str | None = None  # what is sent, from the moment it is due
    attempts: int = 0
    error: str = ""  # of the last attempt, or why it is not told
    done_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Unique for ever."""
        return self.incident, self.transition, self.channel


@dataclass(frozen=True, slots=True)
class AlertRun:
    """The heartbeat: a run, also one that failed. Without `code` it has not ended, or was killed."""

    number: int
    started_at: datetime
    as_of: datetime
    finished_at: datetime | None = None
    code: int | None = None
    body: str = ""


@dataclass(frozen=True, slots=True)
class AlertStep:
    """What one bucket end brought about."""

    units: Sequence[AlertUnit]
    baselines: Sequence[AlertBaseline]
    standing: AlertStanding
    notices: Sequence[AlertNotice] = ()


class Alerts:
    """The alerts' part of an open store. Every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- what was found -----------------------------------------------------------------------------------------

    def standing(self) -> AlertStanding | None:
        """Where everything stands; None before the first evaluation."""
        with reading(self._engine) as connection:
            return _standing(connection)

    def units(
        self, *, since: datetime | None = None, until: datetime | None = None, fingerprint: str | None = None
    ) -> list[AlertUnit]:
        """The newest revision of each unit of work that ended in [since, until], by end and fingerprint."""
        query = select(tables.alert_units).order_by(_u.at, _u.fingerprint, _u.revision)
        if since is not None:
            query = query.where(_u.at >= since)
        if until is not None:
            query = query.where(_u.at <= until)
        if fingerprint is not None:
            query = query.where(_u.fingerprint == fingerprint)
        with reading(self._engine) as connection:
            found = [AlertUnit(**row._mapping) for row in connection.execute(query)]
        return list({(each.at, each.fingerprint): each for each in found}.values())

    def newest_units(self) -> list[AlertUnit]:
        """The newest of each fingerprint, whenever that was, by fingerprint."""
        last = select(_u.fingerprint, func.max(_u.at).label("at")).group_by(_u.fingerprint).subquery()
        query = (
            select(tables.alert_units)
            .join(last, (_u.fingerprint == last.c.fingerprint) & (_u.at == last.c.at))
            .order_by(_u.fingerprint, _u.revision)
        )
        with reading(self._engine) as connection:
            found = [AlertUnit(**row._mapping) for row in connection.execute(query)]
        return list({each.fingerprint: each for each in found}.values())

    def baselines(self) -> list[AlertBaseline]:
        """Every frozen baseline, by fingerprint and change."""
        query = select(tables.alert_baselines).order_by(_b.fingerprint, _b.change_at)
        with reading(self._engine) as connection:
            return [AlertBaseline(**row._mapping) for row in connection.execute(query)]

    def commit(self, step: AlertStep, *, expected: datetime | None) -> None:
        """Write what one bucket end brought about, all or nothing; what stands there already is left as it is.

        ConflictError when the standing is no longer that of `expected`, None for none.
        """
        with writing(self._engine) as connection:
            now = _standing(connection)
            if (None if now is None else now.at) != expected:
                found = "nothing" if now is None else f"{now.at:%Y-%m-%d %H:%M} UTC"
                raise ConflictError(f"alerts: another run evaluated up to {found} meanwhile; run it again")
            _insert_new(connection, step.units)
            _insert_baselines(connection, step.baselines)
            _replace_standing(connection, step.standing)
            _insert_notices(connection, step.notices)

    def forget_units(self, *, before: datetime, keep: Callable[[datetime], bool]) -> None:
        """Delete the units of work that ended before that instant, but those of the ends that are to be kept."""
        with writing(self._engine) as connection:
            ends = connection.execute(select(_u.at).distinct().where(_u.at < before)).scalars()
            for at in [end for end in ends if not keep(end)]:
                connection.execute(delete(tables.alert_units).where(_u.at == at))

    # --- what people did ----------------------------------------------------------------------------------------

    def act(self, at: datetime, body: str) -> AlertAct:
        """Keep what a person did."""
        with writing(self._engine) as connection:
            newest = connection.execute(select(func.max(_a.number))).scalar() or 0
            act = AlertAct(newest + 1, at, body)
            connection.execute(insert(tables.alert_acts).values(**asdict(act)))
            return act

    def acts(self, *, after: datetime | None = None, until: datetime | None = None) -> list[AlertAct]:
        """What people did in (after, until], in that order."""
        query = select(tables.alert_acts).order_by(_a.at, _a.number)
        if after is not None:
            query = query.where(_a.at > after)
        if until is not None:
            query = query.where(_a.at <= until)
        with reading(self._engine) as connection:
            return [AlertAct(**row._mapping) for row in connection.execute(query)]

    # --- outbox -------------------------------------------------------------------------------------------------

    def outbox(self, *states: OutboxState) -> list[AlertNotice]:
        """The notices in these states, all without any, in the order of telling."""
        query = select(tables.alert_outbox).order_by(_o.number)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_o.state.in_(states)) if states else query)
            return [AlertNotice(**row._mapping) for row in rows]

    def release(self, due: Mapping[tuple[str, str, str], str], superseded: Iterable[tuple[str, str, str]] = ()) -> None:
        """Let notices that wait, or were withdrawn, be told, each with what is sent.

        Of those that wait, leave out what a later one replaced.
        """
        with writing(self._engine) as connection:
            for key, payload in due.items():
                connection.execute(
                    update(tables.alert_outbox)
                    .where(_own(key), _o.state.in_(("waiting", "withdrawn")))
                    .values(state="due", payload=payload, error="", done_at=None)
                )
            for key in superseded:
                connection.execute(
                    update(tables.alert_outbox).where(_own(key), _o.state == "waiting").values(state="superseded")
                )

    def told(self, key: tuple[str, str, str], *, now: datetime) -> None:
        """A notice was delivered, also where it was withdrawn while it was on its way."""
        self._attempted(key, "due", "withdrawn", state="delivered", done_at=now, error="")

    def untold(self, key: tuple[str, str, str], error: str) -> None:
        """A notice could not be delivered: it stays due."""
        self._attempted(key, "due", error=error)

    def drop(self, key: tuple[str, str, str], error: str, *, now: datetime) -> None:
        """A notice will never be delivered: its channel is gone."""
        self._attempted(key, "due", state="dropped", done_at=now, error=error)

    def withdraw(self, key: tuple[str, str, str], reason: str, *, now: datetime) -> None:
        """A notice that is due is not told any more: people have dealt with what it is about."""
        with writing(self._engine) as connection:
            values = {"state": "withdrawn", "done_at": now, "error": reason}
            connection.execute(update(tables.alert_outbox).where(_own(key), _o.state == "due").values(values))

    def _attempted(self, key: tuple[str, str, str], *of: OutboxState, **to: str | datetime) -> None:
        with writing(self._engine) as connection:
            values = {**to, "attempts": _o.attempts + 1}
            connection.execute(update(tables.alert_outbox).where(_own(key), _o.state.in_(of)).values(values))

    # --- heartbeat ----------------------------------------------------------------------------------------------

    def lock(self) -> AbstractContextManager[bool]:
        """Whether nobody else runs the alerts; held until the context ends or the process does."""
        return held(self._engine, "alerts")

    def begin(self, started_at: datetime, as_of: datetime) -> int:
        """A run begins; its number."""
        with writing(self._engine) as connection:
            number = (connection.execute(select(func.max(_r.number))).scalar() or 0) + 1
            run = AlertRun(number, started_at, as_of)
            connection.execute(insert(tables.alert_runs).values(**asdict(run)))
            return number

    def end(self, number: int, *, finished_at: datetime, code: int, body: str) -> None:
        """A run ends."""
        with writing(self._engine) as connection:
            values = {"finished_at": finished_at, "code": code, "body": body}
            connection.execute(update(tables.alert_runs).where(_r.number == number).values(values))

    def last_ended(
        self, *, but: Collection[int], where: Callable[[AlertRun], bool] = lambda _: True
    ) -> AlertRun | None:
        """Of the runs that ended, with another code than these and as asked, the one for the newest time."""
        query = select(tables.alert_runs).where(_r.code.is_not(None), _r.code.not_in(list(but)))
        newest = query.order_by(_r.as_of.desc(), _r.number.desc()).execution_options(yield_per=100)
        with reading(self._engine) as connection, connection.execute(newest) as rows:
            return next((run for row in rows if where(run := AlertRun(**row._mapping))), None)

    def runs(self, limit: int | None = None, *, but: Collection[int] = ()) -> list[AlertRun]:
        """The runs, newest first, without those that ended with one of these codes."""
        query = select(tables.alert_runs).where(_r.code.is_(None) | _r.code.not_in(list(but)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_r.number.desc()).limit(limit))
            return [AlertRun(**row._mapping) for row in rows]


def _standing(connection: Connection) -> AlertStanding | None:
    row = connection.execute(select(_s.at, _s.body, _s.seen)).first()
    return None if row is None else AlertStanding(**row._mapping)


def _insert_new(connection: Connection, units: Sequence[AlertUnit]) -> None:
    ends = {each.at for each in units}
    there: set[tuple[str, datetime, int]] = set()
    for at in ends:
        rows = connection.execute(select(_u.fingerprint, _u.at, _u.revision).where(_u.at == at))
        there |= {(row.fingerprint, row.at, row.revision) for row in rows}
    new = [asdict(each) for each in units if (each.fingerprint, each.at, each.revision) not in there]
    if new:
        connection.execute(insert(tables.alert_units), new)


def _insert_baselines(connection: Connection, baselines: Sequence[AlertBaseline]) -> None:
    rows = connection.execute(select(_b.fingerprint, _b.change_at))
    there = {(row.fingerprint, row.change_at) for row in rows} if baselines else set()
    new = [asdict(each) for each in baselines if (each.fingerprint, each.change_at) not in there]
    if new:
        connection.execute(insert(tables.alert_baselines), new)


def _replace_standing(connection: Connection, standing: AlertStanding) -> None:
    connection.execute(delete(tables.alert_standing))
    connection.execute(insert(tables.alert_standing).values(number=1, **asdict(standing)))


def _insert_notices(connection: Connection, notices: Sequence[AlertNotice]) -> None:
    number = connection.execute(select(func.max(_o.number))).scalar() or 0
    for each in notices:
        if connection.execute(select(_o.number).where(_own(each.key))).first():
            continue
        number += 1
        connection.execute(insert(tables.alert_outbox).values(**{**asdict(each), "number": number}))


def _own(key: tuple[str, str, str]) -> ColumnElement[bool]:
    incident, transition, channel = key
    return (_o.incident == incident) & (_o.transition == transition) & (_o.channel == channel)
