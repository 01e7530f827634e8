"""Films from files: DICOM and pictures, their codecs, spacing and polarity."""
