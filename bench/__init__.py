"""Benchmarks: what one machine does per second, as ratios against bounds measured in the same run."""
