"""What runs inside Jupyter Enterprise Gateway's own environment, and the driver that it starts in YARN.

It uses the standard library and what Enterprise Gateway brings, nothing else.
"""
