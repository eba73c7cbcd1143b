"""Generic resources as users write them."""

import pytest

from swarmproxy.errors import BadRequest
from swarmproxy.model.generic import declared_in, gpus_among, read_wishes


@pytest.mark.parametrize(
    ("texts", "wishes"),
    [
        (["fpga=2"], {"fpga": 2}),
        (["fpga==2", "fpga"], {"fpga": 3}),
        (["NVIDIA-GPU=1", "x.y_z=4"], {"NVIDIA-GPU": 1, "x.y_z": 4}),
        (["fpga=0"], {}),
        ([], {}),
    ],
)
def test_wishes(texts: list[str], wishes: dict[str, int]) -> None:
    """A kind and a number, one if there is none; several wishes for a kind add up."""
    assert read_wishes(texts) == wishes


@pytest.mark.parametrize(
    "text", ["", "=1", "fpga=", "fpga=-1", "fpga=1.5", "fpga=many", "fp ga=1", "fpga!=1", "a" + "=9" * 9]
)
def test_bad_wish(text: str) -> None:
    """What is no wish is refused, and not passed over."""
    with pytest.raises(BadRequest, match="invalid resource"):
        read_wishes([text])


def test_declared() -> None:
    """Labels of engines declare resources; what is no number declares nothing."""
    labels = {"resource.fpga": "2", "resource.odd": "two", "storage": "ssd", "resource.gpu": "1"}
    assert declared_in(labels) == {"fpga": 2, "gpu": 1}
    assert gpus_among({"NVIDIA-GPU": 2, "gpu": 1, "fpga": 4}) == 3
