"""Fitting a network: data, loop, evaluation."""
