"""From attenuation to the pixels of a scanner: scattered light, photon noise, blur, display curve, lead letter."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from core.demo.anatomy import Field, Pose, Site

WHITE = 4095  # 12 bits
SCATTER_MM = 45.0


def expose(site: Site, attenuation: np.ndarray, field: Field, draw: np.random.Generator) -> np.ndarray:
    """What the detector reads, as attenuation again: noisier where less light arrives, flatter with more scatter."""
    light = np.exp(-np.maximum(attenuation, 0))
    veil = _scatter(light, field) * site.scatter
    total = gaussian_filter(light, site.sharpness) + veil
    grain = draw.standard_normal(light.shape, dtype=np.float32) / np.sqrt(site.photons * total)
    return np.asarray(-np.log(total) + gaussian_filter(grain, 0.5) * 1.5)


def scatter_contrast(site: Site, attenuation: np.ndarray, field: Field) -> np.ndarray:
    """Share of a small shadow's contrast that the scattered light leaves."""
    light = np.exp(-np.maximum(attenuation, 0))
    return np.asarray(light / (light + _scatter(light, field) * site.scatter))


def spread(image: np.ndarray, sigma_px: float, *, shrink: int = 8) -> np.ndarray:
    """A wide Gaussian blur, done on an image `shrink` times smaller: what is left of it holds no detail."""
    rows, columns = image.shape
    small = image.reshape(rows // shrink, shrink, columns // shrink, shrink).mean(axis=(1, 3), dtype=np.float32)
    blurred = Image.fromarray(gaussian_filter(small, sigma_px / shrink, truncate=3.0))
    return np.asarray(blurred.resize((columns, rows), Image.Resampling.BILINEAR))


def develop(site: Site, seen: np.ndarray) -> np.ndarray:
    """12-bit pixels, MONOCHROME2: the middle 98 % of the values on the display curve, edges lifted a little."""
    lifted = seen + 0.55 * (seen - spread(seen, 9, shrink=2)) - 0.30 * spread(seen, 28)
    low, high = np.quantile(lifted[::4, ::4], [0.012, 0.988])
    level = np.clip((lifted - low) / (high - low), -0.03, 1.06) / 1.06
    return np.asarray(np.clip(np.maximum(level, 0) ** site.contrast * WHITE, 0, WHITE).astype(np.uint16))


def close_shutters(pose: Pose, pixels: np.ndarray) -> np.ndarray:
    """What the collimator kept dark; its edges are a little soft."""
    rows, columns = pixels.shape
    left, right, top, bottom = pose.shutters
    across, down = np.arange(columns) / columns, np.arange(rows) / rows
    open_x = np.clip((across - left) * 90 + 0.5, 0, 1) * np.clip((1 - right - across) * 90 + 0.5, 0, 1)
    open_y = np.clip((down - top) * 90 + 0.5, 0, 1) * np.clip((1 - bottom - down) * 90 + 0.5, 0, 1)
    lit_x = np.where(left + right > 0, open_x, 1.0)
    lit_y = np.where(top + bottom > 0, open_y, 1.0)
    return np.asarray((pixels * lit_y[:, None] * lit_x[None]).astype(np.uint16))


def stamp_marker(site: Site, pixels: np.ndarray, field: Field) -> np.ndarray:
    """The lead letter beside the patient: R on the screen's left, L on its right."""
    if not site.marker:
        return pixels
    image = Image.new("L", (field.columns, field.rows))
    column = 0.05 if site.marker == "R" else 0.90
    font = ImageFont.load_default(size=22)
    ImageDraw.Draw(image).text((column * field.columns, 0.035 * field.rows), site.marker, fill=255, font=font)
    lead = gaussian_filter(np.asarray(image, np.float32), 0.6) / 255
    return np.asarray(np.maximum(pixels, lead * WHITE * 0.97).astype(np.uint16))


def _scatter(light: np.ndarray, field: Field) -> np.ndarray:
    return spread(light, SCATTER_MM / field.spacing_mm / 2)
