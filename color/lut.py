"""A color decision as a .cube, for hosts that take no CDL."""

from __future__ import annotations

from color.cdl import CDL

_SMALL, _LARGE = 17, 33


def cube_document(cdl: CDL) -> str:
    """An Iridas .cube over film log 0..1, made by OpenColorIO. Values may leave 0..1: no clamp.

    Without a power the correction is linear in RGB, and 17 points a side hold it exactly under
    trilinear and tetrahedral interpolation; with one, 33 points are written.
    """
    import PyOpenColorIO as Ocio

    config = Ocio.Config()
    # A space of its own: OpenColorIO leaves everything that comes from raw data as it is.
    config.addColorSpace(Ocio.ColorSpace(name="film log"))
    config.setRole("default", "film log")
    corrected = Ocio.ColorSpace(name="corrected")
    transform = Ocio.CDLTransform()
    transform.setSlope(list(cdl.slope))
    transform.setOffset(list(cdl.offset))
    transform.setPower(list(cdl.power))
    transform.setSat(cdl.saturation)
    transform.setStyle(Ocio.CDL_NO_CLAMP)
    corrected.setTransform(transform, Ocio.COLORSPACE_DIR_FROM_REFERENCE)
    config.addColorSpace(corrected)
    baker = Ocio.Baker()
    baker.setConfig(config)
    baker.setFormat("iridas_cube")
    baker.setInputSpace("film log")
    baker.setTargetSpace("corrected")
    baker.setCubeSize(_SMALL if set(cdl.power) == {1.0} else _LARGE)
    document: str = baker.bake()
    return document
