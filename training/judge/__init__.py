"""Judging explanations: do the maps point at tumours, better than maps that know no network?"""
