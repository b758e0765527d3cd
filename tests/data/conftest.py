import os
from pathlib import Path

import pytest

from notsodeep.data.catalogue import CATALOGUE
from tests.data import tiny


@pytest.fixture
def real_data() -> Path:
    folder = os.environ.get("NOTSODEEP_DATA")
    if not folder:
        pytest.skip("NOTSODEEP_DATA does not point to the MNIST, Fashion-MNIST and CIFAR-10 feature files")
    return Path(folder)


@pytest.fixture
def data_dir(tmp_path, monkeypatch) -> Path:
    """A data folder that holds the data set ``tiny``, known to the catalogue."""
    monkeypatch.setitem(CATALOGUE, "tiny", tiny.make(tmp_path / "data" / "tiny"))
    return tmp_path / "data"
