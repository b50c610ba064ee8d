"""A figure as a notebook shows it: drawn once, as a small image, with words for who cannot see it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from sentinel_etl.report.small_image import with_palette, write_png

__all__ = ["ShownFigure"]


class ShownCanvas(FigureCanvasAgg):  # type: ignore[misc]  # the library has no types for it
    """Draws once what Jupyter asks for: as it asks, by ``bbox_inches``, a figure would be laid out and drawn twice."""

    def print_figure(self, filename: Any, dpi: Any = None, **options: Any) -> Any:
        if options.get("format") == "png" and dpi in (self.figure.dpi, "figure") and isinstance(filename, BytesIO):
            return filename.write(self.draw_image())
        return super().print_figure(filename, dpi, **options)

    def draw_image(self) -> bytes:
        self.draw()
        if self.reaches_beyond():  # seldom: then it is drawn again, with room for all of it
            whole = BytesIO()
            super().print_figure(whole, format="png", bbox_inches="tight")
            with Image.open(whole) as image:
                return write_png(with_palette(image.convert("RGB"))[0])
        drawn = Image.frombuffer("RGBA", self.get_width_height(), self.buffer_rgba(), "raw", "RGBA", 0, 1)
        return write_png(with_palette(drawn.convert("RGB"))[0])

    def reaches_beyond(self) -> bool:
        """Tell whether something stands beyond the figure's edge: a long name, or a label higher than the figure."""
        box, (width, height) = self.figure.get_tightbbox(self.get_renderer()), self.figure.get_size_inches()
        return bool(min(box.x0, box.y0, width - box.x1, height - box.y1) < -1 / self.figure.dpi)


class ShownFigure(Figure):
    """A figure that a notebook shows, whatever pyplot's backend is: on servers ``MPLBACKEND`` is often ``Agg``.

    ``words`` say what it shows. https://ipython.readthedocs.io/en/stable/config/integrating.html#rich-display
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.words = ""
        self.shown = ShownCanvas(self)

    def _repr_png_(self) -> bytes:
        return self.shown.draw_image()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Give the words that go with the image; the image itself Jupyter asks for as of any figure."""
        return {}, {"image/png": {"alt": self.words}} if self.words else {}

    def __repr__(self) -> str:
        return str(super().__repr__()).replace("ShownFigure", "Figure", 1)  # a notebook's text is as of any other
