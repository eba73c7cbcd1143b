"""The tests of the benchmark's tools; what they measure is not tested here."""
