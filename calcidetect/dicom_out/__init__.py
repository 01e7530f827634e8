"""Results as DICOM objects that a PACS files in the film's own study: the one importer of highdicom.

`sr` makes the structured report, `sc` the overlay as secondary capture, `seg` the masks, `gsps` the arrows and letters
as a presentation state. Each takes a scan and returns a dataset ready to be stored. All are marked as preliminary,
unverified and not for diagnosis. The same scan gives the same UIDs, so that a rerun replaces instead of multiplying.
"""
