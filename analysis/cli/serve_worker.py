"""One worker of `truelift serve`: the parts of a service put together from the shop that TRUELIFT_HOME names."""

import time
from datetime import UTC, datetime

from analysis.plan_warnings import adviser
from assignment.event_log import Spool
from assignment.segments import LOADER_COUNTS
from assignment.service import app, manage
from assignment.service.auth import Gate
from assignment.service.configuration import Configuration
from assignment.service.core import Service
from assignment.service.journal import Journal
from assignment.service.live import LiveCatalogue
from assignment.service.metrics import Metrics
from assignment.service.recommend import MOST_ITEMS, Lists
from assignment.service.settings import ServiceSettings
from assignment.service.shop_source import ShopSource
from experiments.recommenders.rules import shop_rules
from experiments.recommenders.serving import FittedStrategies
from experiments.shop import open_shop
from experiments.store import Store


def application() -> app.Front:
    """The application of this process: its own store connection, its own spool segment."""
    shop, settings = open_shop(), ServiceSettings.read()
    store = Store.open(shop.store_url)
    configuration = Configuration(ShopSource(store, shop, _now))
    metrics = Metrics(shop.spool / LOADER_COUNTS)
    rate = settings.requests_per_second / settings.workers
    floor = shop.settings.margin_floor
    recommender = FittedStrategies(
        shop.published,
        Lists(shop.published / "lists.json"),
        _now,
        most=MOST_ITEMS,
        rules=shop_rules(None if floor is None else float(floor)),
    )
    service = Service(
        settings=settings,
        configuration=configuration,
        journal=Journal(Spool(shop.spool, always=settings.fsync_always), metrics, waits=settings.fsync_always),
        catalogue=LiveCatalogue(store),
        gate=Gate(configuration.tokens, rate, max(1.0, rate * settings.burst_seconds), time.monotonic),
        metrics=metrics,
        now=_now,
        has_items=recommender.has,
        currency=shop.settings.currency,
    )
    return app.application(service, recommender, manage.paths(store, shop, adviser(store, shop)))


def _now() -> datetime:
    return datetime.now(UTC)
