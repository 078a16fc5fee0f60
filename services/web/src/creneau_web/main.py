"""creneau-web serve | rehearse | migrate | assets"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from creneau_shared.database.migrations import find_migrations
from creneau_shared.database.migrations import migrate as run_migrations
from creneau_shared.http.serving import serve as serve_app
from creneau_shared.logging import configure_logging
from creneau_web.app import SERVICE, create_app
from creneau_web.assets import Assets
from creneau_web.drawing import compile_all
from creneau_web.ops.rehearsal import RehearsalApplication
from creneau_web.ops.settings import RehearsalSettings
from creneau_web.settings import WebSettings

main = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@main.command()
def serve() -> None:
    """Serve the pages on PORT."""
    settings = WebSettings()
    configure_logging(settings, SERVICE)
    app = create_app(settings)
    compile_all(app.site.templates)
    serve_app(app, settings)


@main.command()
def rehearse() -> None:
    """Book every minute for nobody, to know that booking works; answers health and metrics on PORT."""
    settings = RehearsalSettings()
    configure_logging(settings, f"{SERVICE}-rehearsal")
    serve_app(RehearsalApplication(settings), settings)


@main.command()
def assets(folder: Annotated[Path, typer.Argument(help="where nginx serves /static from")]) -> None:
    """Write the static files under the names that their content gives them."""
    Assets(WebSettings().theme_folder).write(folder)


@main.command()
def migrate(
    back_to: Annotated[
        str | None, typer.Option(help="an earlier revision; what only later ones hold is lost")
    ] = None,
) -> None:
    """Bring the pages' own database to the current schema."""
    settings = WebSettings()
    path = find_migrations("creneau_web")
    asyncio.run(
        run_migrations(path, settings.migration_url, runtime_role=settings.runtime_role, back_to=back_to)
    )


if __name__ == "__main__":
    main()
