"""`truelift serve`: the HTTP service of a shop, with as many workers as asked for."""

import os
import shlex
import tempfile
from datetime import UTC, datetime
from typing import Annotated

import typer

from analysis.cli.context import Home, hint
from analysis.cli.listening import refuse_taken
from experiments.errors import NotFoundError, UsageError
from experiments.shop import Shop, open_shop
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
    os.environ["TRUELIFT_SERVE_WORKERS"] = str(workers)
    settings = ServiceSettings.read()
    with Store.open(shop.store_url) as store:  # what is wrong is said here, once, and not by every worker
        bundle = compile_bundle(bundle_document(store, shop))
        if not bundle.slots:
            said = "no layer is registered, so there is no flag to serve"
            raise NotFoundError(f"{shop.home}: {said}; {_unregistered(shop)}")
        if not any(token.valid(datetime.now(UTC)) for token in store.tokens()):
            step = hint("token create NAME --scope evaluate")
            raise UsageError(f"{shop.home}: nobody has a token; `{step}` makes one")
    refuse_taken(port, address)
    os.environ["TRUELIFT_HOME"] = str(shop.home)  # for the workers; not before a hint has named --home
    typer.echo(f"truelift: {shop.home} at http://{address}:{port}, {len(bundle.slots)} flags", err=True)
    with tempfile.TemporaryDirectory(prefix="truelift-metrics-") as folder:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "analysis.cli.serve_worker:application", factory=True, host=address, port=port, workers=workers, ws="none",
            lifespan="on", log_level="warning", access_log=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )  # fmt: skip


def _unregistered(shop: Shop) -> str:
    """The layer files that wait, and the command that registers them."""
    files = sorted(file for file in shop.layers.glob("*.y*ml") if file.is_file())
    if not files:
        return f"write {shop.layers / 'NAME.yml'} with its modules and slots, then `{hint('register')}` that file"
    names, step = ", ".join(file.name for file in files), hint(f"register {shlex.quote(str(files[0]))}")
    whom = "it" if len(files) == 1 else "them all"
    return f"{shop.layers} has {names}: `{step}` registers {whom}"


def register(app: typer.Typer) -> None:
    """Add `truelift serve`."""
    app.command("serve")(serve)
