"""Images of few colours: a third as large, and the same to the eye."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageChops

__all__ = ["smaller_png", "with_palette", "write_png"]

# A figure has a few hundred colours, most of them shades at the edges of letters and lines: 64 stand for them, and the
# image is a third as large. A map or a heat map needs more. SVG was two to four times as large, and took longer.
FEW, MANY = 64, 256

# By how much a colour may be off, of 255, with few: nobody sees that.
UNSEEN = 6

# An image that is not ours has its colours reduced where none is off by more than that: a photograph's are not.
MOST_OFF = 20


def with_palette(image: Image.Image) -> tuple[Image.Image, int]:
    """Give an RGB image as few colours as do, and tell by how much the worst of them is off, of 255."""
    for colours in (FEW, MANY):
        reduced = image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        off = int(np.asarray(ImageChops.difference(image, reduced.convert("RGB"))).max())
        if off <= UNSEEN:
            break
    return reduced, off


def write_png(image: Image.Image) -> bytes:
    written = BytesIO()
    image.save(written, "png", optimize=True)
    return written.getvalue()


def smaller_png(png: bytes) -> bytes:
    """Write a PNG with few colours where it then looks the same and is smaller; any other stays as it is."""
    try:
        with Image.open(BytesIO(png)) as image:
            opaque = image.mode == "RGB" or (image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255)
            whole = image.convert("RGB")
    except OSError:  # no image, or a broken one: a browser may know better
        return png
    if not opaque:
        return png
    reduced, off = with_palette(whole)
    return min(png, write_png(reduced), key=len) if off <= MOST_OFF else png
