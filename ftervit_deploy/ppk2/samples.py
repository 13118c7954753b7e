"""What a PPK2 records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLES_PER_S = 100_000
SAMPLE_BYTES = 4


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples, ten microseconds apart.

    Attributes:
        microamperes: float64 [N].
        logic: uint8 [N], bit n is input Dn.
        volts: that the board was supplied with.
    """

    microamperes: npt.NDArray[np.float64]
    logic: npt.NDArray[np.uint8]
    volts: float

    @property
    def milliwatts(self) -> npt.NDArray[np.float64]:
        """[N]."""
        return self.microamperes * (self.volts / 1e3)

    def is_high(self, channel: int) -> npt.NDArray[np.bool_]:
        """[N]: input D`channel`."""
        return (self.logic >> channel & 1).astype(bool)
