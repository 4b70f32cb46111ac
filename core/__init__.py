"""The engine of Readroom. Imports run down only; tests/test_architecture.py draws the floors."""
