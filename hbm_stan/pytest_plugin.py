"""A pytest plugin: ``--hbm-engine`` and the fixture ``hbm_engine``. Nothing heavy is imported before a test asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hbm_stan.engines import Engine

_CHOICES = ("auto", "cmdstan", "stanli", "both")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--hbm-engine``."""
    parser.getgroup("hbm_stan").addoption(
        "--hbm-engine", default="auto", choices=_CHOICES,
        help="The engine of the fixture hbm_engine; auto takes CmdStan where it is installed, both runs tests twice.",
    )  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that ask for ``hbm_engine`` on the engine that was asked for, or on both."""
    if "hbm_engine" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--hbm-engine")
        metafunc.parametrize("hbm_engine", ["cmdstan", "stanli"] if asked == "both" else [asked], indirect=True)


@pytest.fixture
def hbm_engine(request: pytest.FixtureRequest) -> Engine:
    """An engine for ``hbm_stan.fit(..., engine=hbm_engine)``; a test fails, and says what is missing, without one."""
    from hbm_stan.engines import choose
    from hbm_stan.errors import EngineError

    try:
        return choose(getattr(request, "param", "auto"))
    except EngineError as error:
        pytest.fail(str(error), pytrace=False)
