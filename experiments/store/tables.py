"""The tables of the registry. A change here needs a migration; a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)


class Instant(TypeDecorator[datetime]):
    """An aware instant in, an aware UTC instant out; ValueError for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite keeps it without the zone, as text that sorts."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone: the store takes aware instants only")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From UTC, whatever zone the server's session is in."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


metadata = MetaData()

experiments = Table(
    "experiments",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("version", Integer, nullable=False),  # the newest; who changes it names the one they saw
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),  # counts every change, of whatever kind
    Column("ordinal", Integer, nullable=False, server_default="0"),  # 1, 2, 3, …: who was registered first
    Column("killed", Boolean, nullable=False, server_default=false()),
    Column("decision", Text),
)

definitions = Table(
    "definitions",
    metadata,
    Column("experiment_key", String(64), ForeignKey("experiments.key"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("registered_at", Instant, nullable=False),
)

phases = Table(
    "phases",
    metadata,
    Column("experiment_key", String(64), ForeignKey("experiments.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("definition_version", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("frozen_at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Column("live", Text, nullable=False, server_default="{}"),
)

ground = Table(
    "ground",
    metadata,
    Column("kind", String(16), primary_key=True),  # layer, holdout
    Column("key", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("registered_at", Instant, nullable=False),
)

salts = Table(
    "salts",
    metadata,
    Column("salt", String(96), primary_key=True),  # for ever: also of what is archived
    Column("owner", String(96), nullable=False),  # experiment home_als_v2, layer homepage, holdout global_h2
    Column("claimed_at", Instant, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # sha256 of the secret, which is nowhere kept
    Column("scopes", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("experiment_key", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("previous", String(64), nullable=False, unique=True),  # a chain: no row has two successors
    Column("hash", String(64), nullable=False, unique=True),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("snapshot_id", String(64), primary_key=True),
    Column("experiment_key", String(64), nullable=False),
    Column("phase", Integer, nullable=False),
    Column("as_of", Instant, nullable=False),
    Column("published_at", Instant, nullable=False),
    Column("supersedes", String(64)),
    Column("schema", String(32), nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index(
    "snapshots_newest_first",
    snapshots.c.experiment_key,
    snapshots.c.phase,
    snapshots.c.published_at.desc(),
)

moments = Table(
    "moments",
    metadata,
    Column("snapshot_id", String(64), ForeignKey("snapshots.snapshot_id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("experiment_key", String(64), primary_key=True),
    Column("phase", Integer, primary_key=True),
    Column("kind", String(64), primary_key=True),
    Column("metric", String(64), primary_key=True),
    Column("arm", String(64), primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("recorded_at", Instant, nullable=False),
    Column("detail", Text, nullable=False),
)

live_items = Table(
    "live_items",
    metadata,
    Column("item_id", String(256), primary_key=True),
    Column("stock", Integer),  # pieces
    Column("stock_since", Instant),
    Column("price", BigInteger),  # minor units
    Column("price_since", Instant),
    Column("valid_from", Instant, nullable=False),  # of the newest row, whatever it said
    Column(
        "number", Integer, nullable=False
    ),  # of the change that touched it last: who reads often reads what is newer
)
Index("live_items_by_number", live_items.c.number)

measures = Table(
    "measures",
    metadata,
    Column("kind", String(16), primary_key=True),  # bucket, look, traffic
    Column("place", String(512), primary_key=True),  # what was measured, as its writer names it
    Column("minutes", Integer, primary_key=True),  # how long it was measured
    Column("ended_at", Instant, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),  # 0, 1, …: late rows changed a number
    Column("published_at", Instant, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON
)
Index("measures_by_publication", measures.c.kind, measures.c.minutes, measures.c.published_at)

alert_units = Table(
    "alert_units",
    metadata,
    Column("fingerprint", String(16), primary_key=True),
    Column("at", Instant, primary_key=True),  # the bucket's end
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("evaluation", Text, nullable=False),
    Column("detector", Text),
)
Index("alert_units_by_end", alert_units.c.at)

alert_baselines = Table(
    "alert_baselines",
    metadata,
    Column("fingerprint", String(16), primary_key=True),
    Column("change_at", Instant, primary_key=True),
    Column("body", Text, nullable=False),
)

alert_standing = Table(
    "alert_standing",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Column("seen", Instant),
)

alert_acts = Table(
    "alert_acts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
)

alert_outbox = Table(
    "alert_outbox",
    metadata,
    Column("incident", String(64), primary_key=True),
    Column("transition", String(64), primary_key=True),
    Column("channel", String(128), primary_key=True),
    Column("at", Instant, nullable=False),  # the bucket's end that brought it about
    Column("notice", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, due, delivered, superseded, withdrawn, dropped
    Column("payload", Text),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("done_at", Instant),
)
Index("alert_outbox_by_state", alert_outbox.c.state, alert_outbox.c.number)

alert_runs = Table(
    "alert_runs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", Instant, nullable=False),
    Column("as_of", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("code", Integer),
    Column("body", Text, nullable=False),
)
