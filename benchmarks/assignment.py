"""Assignment against the hash, its peers and the bare expression, in one run: `python -m benchmarks.assignment`.

In process: a decision (holdout, layer range, traffic, split) over a compiled bundle of 50 experiments beside its four
buckets, a plain split over an idle bundle beside one bucket, and the same 50 experiments in GrowthBook's, Optimizely's
and flagd's Python clients where they are installed: `pip install growthbook optimizely-sdk openfeature-provider-flagd`.
In DuckDB: 10 M ids assigned beside the bare md5 expression, in turns. Least CPU seconds of all repeats; only the ratios
mean anything on another machine.
"""

import argparse
import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import duckdb

from assignment.allocation import evaluate
from assignment.batch import assign_units
from assignment.bundle import Bundle, compile_bundle
from benchmarks.timing import cpu, cpu_in_turns

NOW = datetime(2026, 12, 10, 12, tzinfo=UTC)
BEGAN = "2026-12-01T00:00:00Z"
MODULES, SHARING = 10, 5  # 50 experiments: five on each of ten slots
FLAG, KEY = "rec.m3", "e3_1"
USERS = 200


def experiment(key: str, module: str, ranges: list[list[int]], bp: int, holdouts: list[str], order: int) -> object:
    """A running half and half."""
    arms = [("control", 0, 5_000), ("als", 5_000, 10_000)]
    return {
        "key": key, "state": "running", "killed": False, "order": order, "phase": 1, "started_at": BEGAN,
        "flag_keys": [f"rec.{module}"], "modules": [module], "layer": {"key": module, "ranges": ranges},
        "holdouts": holdouts, "unit_type": "user", "salt": f"{key}.1", "hash_version": "md5-32/1",
        "variants": [
            {"key": arm, "is_control": arm == "control", "strategy": arm, "params": {}, "start": start, "end": end,
             "disabled": False} for arm, start, end in arms
        ],
        "traffic": [{"at": BEGAN, "bp": bp}], "schedule": {"start_at": BEGAN, "end_at": None}, "targeting": None,
        "prerequisites": [], "overrides": [], "trigger": "render",
    }  # fmt: skip


def bundle(experiments: list[object], modules: int) -> Bundle:
    """A compiled bundle of these experiments, one layer a module, and a holdout of 5 %."""
    layers = [
        {"key": f"m{i}", "salt": f"layer.m{i}", "unit_type": "user", "modules": [f"m{i}"],
         "slots": [{"flag_key": f"rec.m{i}", "module": f"m{i}", "default_strategy": "popularity"}]}
        for i in range(modules)
    ]  # fmt: skip
    holdout = {"key": "all", "salt": "holdout.all", "unit_type": "user", "buckets": [[0, 500]],
               "modules": [f"m{i}" for i in range(modules)], "strategy": "no_recommendations", "start_at": BEGAN,
               "end_at": None}  # fmt: skip
    document = {"schema": "bundle.v1", "config_version": 1, "layers": layers, "holdouts": [holdout]}
    return compile_bundle({**document, "experiments": experiments})


def full() -> Bundle:
    """50 experiments, five sharing each slot, at half traffic, under a holdout."""
    return bundle(
        [
            experiment(f"e{i}_{j}", f"m{i}", [[2_000 * j, 2_000 * (j + 1)]], 5_000, ["all"], SHARING * i + j)
            for i in range(MODULES)
            for j in range(SHARING)
        ],
        MODULES,
    )


def bucket(salt: str, unit_id: str) -> int:
    """The expression of docs/assignment.md."""
    text = f"{salt}-{unit_id}".encode()
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:4], "big") % 10_000


def buckets(users: Sequence[str], salts: Sequence[str]) -> Callable[[], None]:
    """Every user's bucket under every salt."""

    def work() -> None:
        for user in users:
            for salt in salts:
                bucket(salt, user)

    return work


def decisions(made: Bundle, flag: str, users: Sequence[str]) -> Callable[[], None]:
    """One decision for every user."""
    contexts = [{"targetingKey": user} for user in users]

    def work() -> None:
        for context in contexts:
            evaluate(made, flag, context, NOW)

    return work


def in_process(repeats: int) -> None:
    """Our decisions beside their hashes and beside the peers."""
    made, idle = full(), bundle([experiment("plain", "m0", [[0, 10_000]], 10_000, [], 1)], 1)
    names = (f"user_{number}" for number in range(100_000))
    users = [name for name in names if evaluate(made, FLAG, {"targetingKey": name}, NOW).assignment_reason == "split"][
        :USERS
    ]
    four = cpu(buckets(users, ("holdout.all:holdout", "layer.m3:layer", f"{KEY}.1:traffic", f"{KEY}.1:split")), repeats)
    one = cpu(buckets(users, ("plain.1:split",)), repeats)
    decided = cpu(decisions(made, FLAG, users), repeats)
    plain = cpu(decisions(idle, "rec.m0", users), repeats)
    print(f"one decision over {MODULES * SHARING} experiments; CPU µs, times its limit")
    for label, seconds, limit in (
        ("four buckets", four, four),
        ("ours: holdout, layer, traffic, split", decided, four),
        ("one bucket", one, one),
        ("ours: a plain split, idle bundle", plain, one),
    ):
        print(f"  {label:<42}{seconds / len(users) * 1e6:>9.2f}{seconds / limit:>8.2f} ×")
    print("peers, 50 experiments of two arms at half traffic; CPU µs, times ours with four buckets")
    for name, module, prepare in PEERS:
        if not _installed(module):
            print(f"  {name:<42} not installed: pip install {name}")
            continue
        with prepare() as decide:
            seconds = cpu(_each(decide, users), max(3, repeats // 3))
        print(f"  {name:<42}{seconds / len(users) * 1e6:>9.2f}{seconds / decided:>8.2f} ×")


def _each(decide: Callable[[str], object], users: Sequence[str]) -> Callable[[], None]:
    def work() -> None:
        for user in users:
            decide(user)

    return work


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@contextmanager
def growthbook() -> Iterator[Callable[[str], object]]:
    """Its client holds one user; the user is set, then the feature evaluated."""
    features = {
        f"rec.m{i}": {
            "defaultValue": "control",
            "rules": [{"key": f"e{i}", "coverage": 0.5, "variations": ["control", "als"], "weights": [0.5, 0.5],
                       "hashAttribute": "id"}],
        } for i in range(MODULES * SHARING)
    }  # fmt: skip
    client = import_module("growthbook").GrowthBook(features=features)

    def decide(user: str) -> object:
        client.set_attributes({"id": user})
        return client.eval_feature(FLAG).value

    if {decide(f"user_{number}") for number in range(100)} != {"control", "als"}:
        raise RuntimeError("growthbook decides otherwise than was meant: its features changed their form")
    yield decide
    client.destroy()


@contextmanager
def optimizely() -> Iterator[Callable[[str], object]]:
    """Decisions without an event."""
    count = range(MODULES * SHARING)
    datafile = {
        "version": "4", "rollouts": [], "typedAudiences": [], "anonymizeIP": True, "projectId": "1", "variables": [],
        "featureFlags": [
            {"id": f"f{i}", "key": f"rec.m{i}", "rolloutId": "", "experimentIds": [f"x{i}"], "variables": []}
            for i in count
        ],
        "experiments": [
            {"id": f"x{i}", "key": f"e{i}", "status": "Running", "layerId": f"l{i}", "audienceIds": [],
             "forcedVariations": {},
             "variations": [{"id": f"{arm}{i}", "key": arm, "variables": [], "featureEnabled": True}
                            for arm in ("control", "als")],
             "trafficAllocation": [{"entityId": f"control{i}", "endOfRange": 2_500},
                                   {"entityId": f"als{i}", "endOfRange": 5_000}]}
            for i in count
        ],
        "audiences": [], "groups": [], "attributes": [], "botFiltering": False, "accountId": "1", "events": [],
        "revision": "1",
    }  # fmt: skip
    logging.getLogger("optimizely").setLevel(logging.CRITICAL)  # it says every decision
    client = import_module("optimizely.optimizely").Optimizely(datafile=json.dumps(datafile))

    def decide(user: str) -> object:
        return client.create_user_context(user).decide(FLAG, ["DISABLE_DECISION_EVENT"]).variation_key

    if {decide(f"user_{number}") for number in range(100)} != {"control", "als", None}:
        raise RuntimeError("optimizely decides otherwise than was meant: its datafile changed its form")
    yield decide
    client.close()


@contextmanager
def flagd() -> Iterator[Callable[[str], object]]:
    """In process from a file, through OpenFeature's client as it is meant to be used."""
    split = {
        "fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}, ["control", 50], ["als", 50]]
    }
    flags = {
        f"rec.m{i}": {"state": "ENABLED", "variants": {"control": "control", "als": "als"},
                      "defaultVariant": "control", "targeting": split}
        for i in range(MODULES * SHARING)
    }  # fmt: skip
    logging.getLogger("openfeature.contrib").setLevel(logging.CRITICAL)  # its watcher misses the file at the end
    module, api = import_module("openfeature.contrib.provider.flagd"), import_module("openfeature.api")
    kinds = import_module("openfeature.contrib.provider.flagd.config").ResolverType
    context = import_module("openfeature.evaluation_context").EvaluationContext
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_text(json.dumps({"flags": flags}), encoding="utf-8")
        api.set_provider_and_wait(module.FlagdProvider(resolver_type=kinds.FILE, offline_flag_source_path=str(path)))
        client = api.get_client()

        def decide(user: str) -> object:
            return client.get_string_value(FLAG, "", context(user))

        if {decide(f"user_{number}") for number in range(100)} != {"control", "als"}:
            raise RuntimeError("flagd decides otherwise than was meant: its flags changed their form")
        yield decide
        api.shutdown()


PEERS = (
    ("growthbook", "growthbook", growthbook),
    ("optimizely-sdk", "optimizely.optimizely", optimizely),
    ("openfeature-provider-flagd", "openfeature.contrib.provider.flagd", flagd),
)


def in_duckdb(ids: int, repeats: int) -> None:
    """A table of ids to a table of arms."""
    plain = assign_units(bundle([experiment("plain", "m0", [[0, 10_000]], 10_000, [], 1)], 1).plans["plain"], NOW)
    staged = assign_units(full().plans[KEY], NOW)
    bare = "(('0x' || substr(md5('plain.1:split' || '-' || unit_id), 1, 8))::bigint % 10000)"
    four = ", ".join(bare.replace("plain.1:split", salt) for salt in ("plain.1:split", "a.1:layer", "b.1:x", "c.1:y"))
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")  # drawing it takes CPU too
        connection.execute(f"create table units as select 'user_' || range as unit_id from range({ids})")

        def kept(sql: str, parameters: dict[str, str | list[str]]) -> Callable[[], object]:
            return lambda: connection.execute(f"create or replace table made as {sql}", parameters)

        queries = {
            "one bare md5 expression": kept(f"select unit_id, {bare} as bucket from units", {}),
            "ours: reason, arm and bucket of a plain split": kept(plain.sql, plain.parameters),
            "four bare md5 expressions": kept(f"select unit_id, {four} from units", {}),
            "ours: holdout, layer, traffic and split": kept(staged.sql, staged.parameters),
        }
        spent = cpu_in_turns(list(queries.values()), repeats)
        print(f"{ids:,} ids in DuckDB, kept as a table; CPU s, times the bare expression")
        for label, seconds in zip(queries, spent, strict=True):
            print(f"  {label:<46}{seconds:>9.2f}{seconds / spent[0]:>8.2f} ×")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    in_process(given.repeats)
    in_duckdb(given.ids, max(5, given.repeats // 5))


if __name__ == "__main__":
    main()
