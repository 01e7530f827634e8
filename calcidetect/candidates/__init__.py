"""Places that stand out of the soft tissue: found, measured, scored, labelled and made into marks."""
