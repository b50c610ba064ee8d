"""How a report's page looks on a narrow screen: figures keep their size, tables scroll, and both show that they do."""

from __future__ import annotations

__all__ = ["PAGE_STYLE"]

# A table that is wider than the page scrolls within itself. Its edge is shaded where more is to come: two covers move
# with the content, two shades stay (https://lea.verou.me/blog/2012/04/background-attachment-local/). Rows are
# see-through for that, tinted as they were. Words break where no line is long enough for them, and else stay whole:
# half an identifier is none.
PAGE_STYLE = """<style>
.jp-OutputArea-output table {
  display: block; width: max-content; max-width: 100%; overflow-x: auto;
  background:
    linear-gradient(to right, #fff 40%, rgba(255, 255, 255, 0)) left / 3rem 100% no-repeat local,
    linear-gradient(to left, #fff 40%, rgba(255, 255, 255, 0)) right / 3rem 100% no-repeat local,
    linear-gradient(to right, rgba(0, 0, 0, .28), rgba(0, 0, 0, 0)) left / .9rem 100% no-repeat scroll,
    linear-gradient(to left, rgba(0, 0, 0, .28), rgba(0, 0, 0, 0)) right / .9rem 100% no-repeat scroll,
    #fff !important;
}
.jp-OutputArea-output tr[style*="#FFFFFF"] { background: transparent !important; }
.jp-OutputArea-output tr[style*="#F6F6F6"] { background: rgba(0, 0, 0, .036) !important; }
.jp-OutputArea-output tr[style*="#FDECEA"] { background: rgba(225, 40, 20, .088) !important; }
@media (max-width: 70rem) {
  .jp-OutputArea-output th, .jp-OutputArea-output td { max-width: 24em; overflow-wrap: break-word !important; }
}
@media (max-width: 50rem) {
  .jp-OutputArea-output tbody th { min-width: 0 !important; }
  .jp-OutputArea-output td[style*="text-align:left"] { min-width: 7em; }
  .jp-RenderedImage { overflow-x: auto; }
  .jp-RenderedImage::before {
    content: "wider than the screen: swipe sideways →"; display: block; position: sticky; left: 0;
    width: max-content; font-size: .75rem; color: #5f6368;
  }
  .jp-RenderedImage img { max-width: none !important; zoom: .8; }
}
</style>
"""
