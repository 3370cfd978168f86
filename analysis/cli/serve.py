"""`truelift serve`: the HTTP service of a shop, with as many workers as asked for."""

import os
import tempfile
from datetime import UTC, datetime
from typing import Annotated

import typer

from analysis.cli.context import Home, hint
from experiments.errors import NotFoundError, UsageError
from experiments.shop import open_shop
from experiments.store import Store


def serve(
    home: Home = None,
    port: Annotated[int, typer.Option(help="Where to listen.", min=1, max=65535)] = 8080,
    address: Annotated[str, typer.Option(help="Which address to listen on; put TLS before it.")] = "localhost",
    workers: Annotated[int, typer.Option(help="Processes that answer, each with its own spool segment.", min=1)] = 1,
) -> None:
    """Serve flags by OFREP, recommendations and the exposure log over HTTP. Ctrl+C finishes what is being answered."""
    import uvicorn

    from assignment.bundle import compile_bundle
    from assignment.service.settings import ServiceSettings
    from experiments.bundle import bundle_document

    shop = open_shop(home)
    os.environ["TRUELIFT_HOME"] = str(shop.home)
    os.environ["TRUELIFT_SERVE_WORKERS"] = str(workers)
    settings = ServiceSettings.read()
    with Store.open(shop.store_url) as store:  # what is wrong is said here, once, and not by every worker
        bundle = compile_bundle(bundle_document(store, shop))
        if not bundle.slots:
            step = hint("register FILE")
            raise NotFoundError(f"{shop.home}: no layer is registered, so there is no flag to serve; `{step}` has one")
        if not any(token.valid(datetime.now(UTC)) for token in store.tokens()):
            step = hint("token create NAME --scope evaluate")
            raise UsageError(f"{shop.home}: nobody has a token; `{step}` makes one")
    typer.echo(f"truelift: {shop.home} at http://{address}:{port}, {len(bundle.slots)} flags", err=True)
    with tempfile.TemporaryDirectory(prefix="truelift-metrics-") as folder:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "analysis.cli.serve_worker:application", factory=True, host=address, port=port, workers=workers, ws="none",
            lifespan="on", log_level="warning", access_log=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add `truelift serve`."""
    app.command("serve")(serve)
