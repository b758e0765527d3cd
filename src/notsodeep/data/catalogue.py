"""The data sets known by name: their files with checksums, where they come from, and under which terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file of a data set."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """What is known about a data set before it is read."""

    name: str
    kind: str
    """``"embedded"`` (in scikit-learn), ``"idx"`` (images and labels, training then test) or ``"npz"``"""
    n: int
    n_test: int
    """Official test samples; 0 when there are none and a part of the ``n`` samples is held out instead"""
    p: int
    classes: tuple[int, ...]
    origin: str
    licence: str
    files: tuple[File, ...] = ()
    url: str | None = None
    """Public folder that holds the files; ``None`` when there is none"""


_DIGITS = tuple(range(10))


def _idx_files(train_images: str, train_labels: str, test_images: str, test_labels: str) -> tuple[File, ...]:
    return (
        File("train-images-idx3-ubyte.gz", train_images),
        File("train-labels-idx1-ubyte.gz", train_labels),
        File("t10k-images-idx3-ubyte.gz", test_images),
        File("t10k-labels-idx1-ubyte.gz", test_labels),
    )


CATALOGUE: dict[str, Entry] = {
    "digits": Entry(
        name="digits",
        kind="embedded",
        n=1797,
        n_test=0,
        p=64,
        classes=_DIGITS,
        origin="UCI optical recognition of handwritten digits (Alpaydin, Kaynak), as shipped with scikit-learn",
        licence="CC BY 4.0",
    ),
    "mnist": Entry(
        name="mnist",
        kind="idx",
        n=60000,
        n_test=10000,
        p=784,
        classes=_DIGITS,
        origin="MNIST handwritten digits (LeCun, Cortes, Burges)",
        licence="no formal licence; freely distributed",
        files=_idx_files(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    "fashion_mnist": Entry(
        name="fashion_mnist",
        kind="idx",
        n=60000,
        n_test=10000,
        p=784,
        classes=_DIGITS,
        origin="Fashion-MNIST (Zalando SE)",
        licence="MIT",
        files=_idx_files(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    "cifar10_features": Entry(
        name="cifar10_features",
        kind="npz",
        n=50000,
        n_test=10000,
        p=256,
        classes=_DIGITS,
        origin=(
            "256 features of a ResNet-20 trained on CIFAR-10 (images: Krizhevsky 2009; weights: Y. Idelbayev, BSD), "
            "last stage, average-pooled to 2x2"
        ),
        licence="none claimed on the features",
        files=(File("features.npz", "8d653a79cce4921a7e68449c116408a3895454980a6552b7912ead10629d9608"),),
    ),
}


def entries() -> tuple[Entry, ...]:
    """Return the data sets known by name.

    Examples
    --------
    >>> from notsodeep.data import entries
    >>> [entry.name for entry in entries()]
    ['digits', 'mnist', 'fashion_mnist', 'cifar10_features']
    """
    return tuple(CATALOGUE.values())


def entry(name: str) -> Entry:
    """Return the entry called ``name``.

    Raises
    ------
    ValueError
        When there is none; the message lists the legal names.
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise ValueError(f"unknown data set {name!r}; legal names: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
