"""Names for the arrays that travel between functions; each has shape (rows, cols)."""

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
LabelImage = npt.NDArray[np.int32]
