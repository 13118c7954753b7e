"""Class names: those of data sets that everybody uses, and those that cannot serve."""

from __future__ import annotations

from collections.abc import Iterable

from ..resources import data_file

MAX_CHARACTERS = 200
_SHOWN = 60
"""Characters of a name that cannot serve which a sentence repeats."""

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR100 = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
    rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower
    sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
    willow_tree wolf woman worm""".split()  # noqa: SIM905
)
"""Fine labels of CIFAR-100 in the data set's order, which is alphabetical."""


def imagenet_labels() -> tuple[str, ...]:
    """Short names of the 1000 ImageNet-1k classes in the order of the logits (data/README.md)."""
    return tuple(data_file("imagenet_labels.txt").read_text("utf-8").splitlines())


def default_labels(classes: int, dataset: str = "") -> tuple[str, ...]:
    """Names for a model that states none.

    Args:
        classes: number of logits.
        dataset: ``imagenet``, ``cifar10``, ``cifar100``, a path that mentions one, or empty.

    Returns:
        the data set's, where the number of classes fits; ``0``, ``1`` ... otherwise.
    """
    if classes == 1000:
        return imagenet_labels()
    if classes == 10 and "cifar10" in dataset.lower() and "cifar100" not in dataset.lower():
        return CIFAR10
    if classes == 100 and "cifar100" in dataset.lower():
        return tuple(label.replace("_", " ") for label in CIFAR100)
    return tuple(str(index) for index in range(classes))


def label_defect(labels: Iterable[str]) -> str:
    """What is wrong with the first class name that no model can have, as a sentence; empty if none is."""
    for label in labels:
        shown = repr(label if len(label) <= _SHOWN else f"{label[:_SHOWN]}…")
        if not label:
            return "A class has an empty name."
        if len(label) > MAX_CHARACTERS:
            return f"The class name {shown} is longer than {MAX_CHARACTERS} characters."
        hidden = next((character for character in label if not character.isprintable()), None)
        if hidden is not None:
            return f"The class name {shown} has a character that does not print, U+{ord(hidden):04X}."
    return ""
