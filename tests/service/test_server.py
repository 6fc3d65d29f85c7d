import gc

import uvicorn

from service.app import create_app
from service.server import DrainingServer, configured
from service.settings import Settings
from tests.loop import run


def test_what_is_there_at_the_start_is_left_out_of_later_collections(settings: Settings) -> None:
    app = create_app(settings)
    config = uvicorn.Config(app, port=0, log_config=None)
    server = DrainingServer(config, app.state.intake, notice_seconds=0, drain_seconds=1)

    async def work() -> None:
        config.load()
        server.lifespan = config.lifespan_class(config)
        frozen = gc.get_freeze_count()
        await server.startup()
        try:
            assert gc.get_freeze_count() > frozen
        finally:
            await server.shutdown()
            gc.unfreeze()

    run(work)


def test_an_idle_connection_is_kept_as_long_as_the_settings_say(settings: Settings) -> None:
    patient = settings.model_copy(update={"keep_alive_seconds": 90})
    assert configured(create_app(settings), patient).timeout_keep_alive == 90
