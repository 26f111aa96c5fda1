"""An SVG of ours as a PNG, the same on every machine: the letters come from a package."""

import re

import font_source_sans_pro
import resvg_py

_PROPERTY = re.compile(r"--([\w-]+):\s*([^;]+);")
_SUPPORTED = 0x530  # Latin, Greek and Cyrillic are below


def png(svg: str, *, scale: float = 2) -> bytes:
    """Return ``svg`` as a PNG with ``scale`` pixels to each of its own.

    Scripts that the font of the package lacks are taken from those of the machine, if it has any.
    """
    fonts = font_source_sans_pro.font_files_ttf
    written = re.sub(r"<style>.*?</style>|<[^>]+>", "", svg, flags=re.DOTALL)
    is_covered = all(ord(each) < _SUPPORTED or 0x2000 <= ord(each) < 0x2100 for each in written)
    drawn = resvg_py.svg_to_bytes(
        svg_string=_with_colours(svg),
        skip_system_fonts=is_covered,
        font_files=[
            fonts[each] for each in ("SourceSansPro", "SourceSansProSemibold", "SourceSansProBold")
        ],
        font_family="Source Sans Pro",
        sans_serif_family="Source Sans Pro",
        zoom=scale,
    )
    return bytes(drawn)


def _with_colours(svg: str) -> str:
    """Return ``svg`` with custom properties in place: resvg knows none. The first value counts."""
    colours: dict[str, str] = {}
    for name, value in _PROPERTY.findall(svg):
        colours.setdefault(name, value.strip())
    plain = re.sub(r"var\(--([\w-]+)\)", lambda found: colours.get(found[1], "none"), svg)
    return re.sub(r"font-family: [^;]+;", 'font-family: "Source Sans Pro", sans-serif;', plain)
