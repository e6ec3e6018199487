from pathlib import Path

import golden_study
import pytest

from ablab import reports


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study folder of one's own, to damage."""
    return golden_study.build(tmp_path / "study")


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> reports.View:
    """The golden study as reports see it; read only."""
    return reports.read(golden_study.build(tmp_path_factory.mktemp("golden") / "study"))


@pytest.fixture(scope="session")
def page(golden: reports.View) -> str:
    """The golden study as a page, drawn once."""
    return reports.as_page(golden)


@pytest.fixture(scope="session")
def diagnosed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diagnosis of real readings on disk, all but its page; read only."""
    import diagnosed

    place = tmp_path_factory.mktemp("run") / "diagnosis"
    diagnosed.build(place)
    return place
