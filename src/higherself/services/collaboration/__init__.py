"""Collaborations, run durably: the reducers decide, messages carry it out."""
