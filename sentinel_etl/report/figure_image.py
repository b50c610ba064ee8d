"""A figure as a notebook shows it: drawn once, as a small image, with words for who cannot see it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["ShownFigure", "with_palette"]

# Of a figure's few hundred colours most are shades at the edges of letters. With 64 none is off by more than the eye
# can tell (6 of 255 were measured), and the image is a third as large; SVG was two to four times as large as that.
COLOURS = 64


class ShownCanvas(FigureCanvasAgg):  # type: ignore[misc]  # the library has no types for it
    """Draws once what Jupyter asks for: as it asks, by ``bbox_inches``, a figure would be laid out and drawn twice."""

    def print_figure(self, filename: Any, dpi: Any = None, **options: Any) -> Any:
        if options.get("format") == "png" and dpi in (self.figure.dpi, "figure") and isinstance(filename, BytesIO):
            return filename.write(self.draw_image())
        return super().print_figure(filename, dpi, **options)

    def draw_image(self) -> bytes:
        self.draw()
        drawn = Image.frombuffer("RGBA", self.get_width_height(), self.buffer_rgba(), "raw", "RGBA", 0, 1)
        return with_palette(drawn.convert("RGB"))


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


def with_palette(image: Image.Image) -> bytes:
    """Write an RGB image as a PNG of few colours."""
    few = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    written = BytesIO()
    few.save(written, "png", optimize=True)
    return written.getvalue()
