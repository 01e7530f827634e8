"""Codes of findings, places and measures, as ``(value, scheme, meaning)``.

All SNOMED CT codes are of the subset that DICOM may use freely (PS3.16, context groups 3802, 4031, 6102, 7151).
Kinds without a code of their own are not coded, nor is any diagnosis.
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from calcidetect.types import MARK

CALCIFICATION = Code("18115005", "SCT", "Pathologic calcification")
SOFT_TISSUE = Code("87784001", "SCT", "Soft tissue")

FINDINGS = {
    MARK: CALCIFICATION,
    "tracheal": CALCIFICATION,
    "costal_cartilage": CALCIFICATION,
    "vascular": Code("237897009", "SCT", "Vascular calcification"),
    "ossified": Code("83323007", "SCT", "Ossification"),
}
"""What a candidate of each kind is a candidate of."""

TISSUES = {
    MARK: SOFT_TISSUE,
    "tracheal": Code("44567001", "SCT", "Trachea"),
    "costal_cartilage": Code("50016007", "SCT", "Costal cartilage"),
    "vascular": Code("51114001", "SCT", "Artery"),
    "ossified": SOFT_TISSUE,
}
"""What each kind lies in."""

REGIONS = {
    "chest": Code("816094009", "SCT", "Chest"),
    "shoulder": Code("16982005", "SCT", "Shoulder"),
    "hand": Code("85562004", "SCT", "Hand"),
    "wrist": Code("74670003", "SCT", "Wrist joint"),
    "elbow": Code("16953009", "SCT", "Elbow joint"),
    "knee": Code("72696002", "SCT", "Knee"),
    "foot": Code("56459004", "SCT", "Foot"),
    "hip": Code("29836001", "SCT", "Hip"),
}
"""Body regions of `calcidetect.anatomy.regions`; ``other`` has none."""

SIDES = {"R": Code("24028007", "SCT", "Right"), "L": Code("7771000", "SCT", "Left")}

RADIOGRAPHY = Code("168537006", "SCT", "Plain radiography")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
BONE = Code("272673000", "SCT", "Bone")

AREA = Code("42798000", "SCT", "Area")
LONG_AXIS = Code("103339001", "SCT", "Long axis")
CONTRAST = Code("113060", "DCM", "Signal to noise")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
COUNT = Code("111038", "DCM", "Number of calcifications")

SQUARE_MM = Code("mm2", "UCUM", "mm2")
MM = Code("mm", "UCUM", "mm")
PIXELS = Code("{pixels}", "UCUM", "pixels")
PERCENT = Code("%", "UCUM", "Percent")
NO_UNIT = Code("1", "UCUM", "no units")

FAMILY = Code("123104", "DCM", "Morphological Operations")
"""Of algorithms, context group 7162."""
