"""Pictures of measurements, as PNG or SVG.

:mod:`~replayer.plots.points` collects what is drawn, without any library.
:mod:`~replayer.plots.canvas` makes a picture and writes it, :mod:`~replayer.plots.drawings` says
what stands on it. Matplotlib (extra ``plot``) is imported only when something is drawn.
"""
