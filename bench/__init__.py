"""Measurements: every figure in the README comes from a row in this folder.

`make bench` runs the quick rows, `make bench-full` every row; `python -m bench table`
prints what is stored. A row that was measured for the present code is not run again.
"""
