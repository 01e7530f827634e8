"""Deposits put into films, with truth: what the detector is fitted and measured on."""
