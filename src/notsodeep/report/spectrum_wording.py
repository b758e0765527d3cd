"""The spectrum of a kernel in words."""

from __future__ import annotations

from notsodeep.experiments.spectrum import SpectrumResult
from notsodeep.report.numerals import percent
from notsodeep.report.spectrum_facts import SpectrumFacts
from notsodeep.report.wording import KERNELS, short_name
from notsodeep.spec import DEQ, MLP, Spec


def spectrum_headline(result: SpectrumResult) -> str:
    """Return one sentence that says what the spectrum is, and how much of it was predicted."""
    data, config = result.samples.data, result.config
    others = "the others" if any(pair.found is not None for pair in result.isolated) else "its eigenvalues"
    return (
        f"On {data.n} samples of {data.name}, the {KERNELS[config.kernel]} of this {model_words(config.spec)} has "
        f"{_isolated(SpectrumFacts.of(result))}; the distribution of {others} is predicted to within "
        f"{percent(result.kolmogorov)}."
    )


def model_words(spec: Spec) -> str:
    """Return what a model is, as in ``2-layer relu-tanh network``.

    Examples
    --------
    >>> import notsodeep as nsd
    >>> model_words(nsd.DEQ("tanh")), model_words(nsd.MLP((nsd.Layer("relu"), nsd.Layer("relu"))))
    ('tanh DEQ', '2-layer relu network')
    """
    if isinstance(spec, DEQ):
        return f"{short_name(spec.activation)} DEQ"
    if isinstance(spec, MLP):
        return f"{_layers(spec)} network"
    return f"network of {len(spec.branches)} parallel branches ({', '.join(map(_layers, spec.branches))})"


def _layers(mlp: MLP) -> str:
    names = [short_name(layer.activation) for layer in mlp.layers]
    return f"{mlp.depth}-layer {'-'.join(names if len(set(names)) > 1 else names[:1])}"


def _isolated(facts: SpectrumFacts) -> str:
    paired, missed, absent = len(facts.paired), len(facts.missed), len(facts.absent)
    found = paired + missed
    if not found:
        return f"no isolated eigenvalue, {_although(absent) if absent else 'as predicted'}"
    said = f"{found} isolated eigenvalue{_plural(found)}"
    if not paired:
        said += ", not predicted" if found == 1 else ", none of them predicted"
    else:
        within = f"to within {percent(max(pair.error or 0.0 for pair in facts.paired))}"
        said += f", {_how_many(paired, found)}predicted {within}"
    return said + (f", and {absent} more {_are(absent)} predicted that {_were(absent)} not found" if absent else "")


def _how_many(some: int, of: int) -> str:
    if some == of:
        return "" if of == 1 else "both " if of == 2 else "all "
    return f"{some} of them "


def _although(count: int) -> str:
    return f"although {count} {_are(count)} predicted"


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
