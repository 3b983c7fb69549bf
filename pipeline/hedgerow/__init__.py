"""Hedgerow: which quantizer keeps the borders?"""
