"""Seeded synthetic films with an exact bone mask and known deposits.

>>> from calcidetect.phantom import make_phantom
>>> film = make_phantom("wrists", seed=1, spacing_mm=1.0)
>>> film.pixels.shape
(240, 300)
"""

from calcidetect.phantom.film import Phantom, make_phantom
from calcidetect.phantom.lumps import Deposit
from calcidetect.phantom.scenes import KINDS

__all__ = ["KINDS", "Deposit", "Phantom", "make_phantom"]
