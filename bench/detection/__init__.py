"""The detection benchmark: labelled corpora, a scorer, and the field's rules beside Penstock.

See docs/detection-bench.md. Run as ``python -m bench.detection.run`` from the repository's root.
"""
