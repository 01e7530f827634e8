"""Names for the arrays that travel between functions; images have shape (rows, cols)."""

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
LabelImage = npt.NDArray[np.int32]
Points = npt.NDArray[np.float64]  # (n, 2), or (n,) what is measured of them
Column = npt.NDArray[np.floating]  # (n,): one measure of n candidates
Words = npt.NDArray[np.str_]  # (n,)
