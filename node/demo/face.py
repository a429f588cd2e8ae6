"""Everything of the phantom below and before the brain: neck, jaws, orbits, airways."""

import numpy as np

from node.demo.canvas import Canvas, Tissue
from node.demo.shapes import Blend, Box, Ellipsoid, Mirrored, Tube, waves


def neck(canvas: Canvas, seed: int) -> None:
    """Fat between muscles, spine with discs, cord, great vessels."""
    x, y, z = (
        canvas.axes[0][None, None, :],
        canvas.axes[1][None, :, None],
        canvas.axes[2][:, None, None],
    )
    low = slice(0, int(np.searchsorted(canvas.axes[2], 30.0)))
    planes = np.abs(waves(x, y, z[low], length_mm=42.0, count=6, seed=seed + 2)) < 0.09
    canvas.tissue[low][planes & (canvas.tissue[low] == Tissue.MUSCLE)] = Tissue.FAT
    for side in ((26, 58, -95), (13, 68, -100), (40, 18, -105), (18, 30, -110)):
        a, b, c = side
        sheath = Mirrored(Tube(((a, b, c + 45), (a, b, c - 60)), (12, 13)))
        canvas.paint(Tissue.FAT, sheath, grow=1.2, over=(Tissue.MUSCLE,))
        canvas.paint(Tissue.MUSCLE, sheath, over=(Tissue.FAT,), skin_mm=6.0)
    canvas.paint(Tissue.VESSEL, Mirrored(Tube(((24, 10, -45), (26, 10, -160)), (3.2, 3.6))))
    canvas.paint(Tissue.VESSEL, Mirrored(Tube(((31, 17, -45), (33, 15, -160)), (4.6, 5.2))))
    for number in range(6):
        level = -66.0 - 17.0 * number
        body = Box((0, 25, level), (11, 9.5, 6.6), 4.0)
        arch = Blend(
            (
                Mirrored(
                    Tube(((12, 30, level), (15, 40, level - 2), (6, 56, level - 5)), (4, 3.5, 3))
                ),
                Tube(((0, 56, level - 5), (0, 70, level - 9)), (3.0, 2.6)),
            ),
            3.0,
        )
        for part, wall in ((body, 1.3), (arch, 1.4)):
            canvas.paint(Tissue.BONE, part)
            canvas.paint(Tissue.MARROW, part, grow=-wall)
        canvas.paint(Tissue.CARTILAGE, Box((0, 25, level - 8.5), (10, 8.5, 2.0), 1.5))
    canvas.paint(Tissue.CSF, Tube(((0, 40, -36), (0, 43, -62), (0, 43, -160)), (11, 8.2, 8.0)))


def face_bones(canvas: Canvas) -> None:
    """Orbits, cheeks, upper and lower jaw, teeth."""
    deep = 5.0
    canvas.paint(Tissue.BONE, Mirrored(Ellipsoid((31, -60, -17), (22, 29, 20))), skin_mm=deep)
    canvas.paint(Tissue.BONE, Box((0, -62, -36), (15, 34, 32), 9.0), skin_mm=deep)
    canvas.paint(Tissue.BONE, Mirrored(Ellipsoid((27, -58, -42), (17, 24, 20))), skin_mm=deep)
    canvas.paint(Tissue.BONE, Ellipsoid((0, -70, -62), (29, 26, 9)), skin_mm=deep)
    arch = Mirrored(
        Tube(((44, -68, -34), (59, -46, -34), (66, -14, -30), (62, 4, -28)), (7, 4, 3, 4))
    )
    canvas.paint(Tissue.BONE, arch, skin_mm=4.0)
    canvas.paint(Tissue.MARROW, arch, grow=-2.2)
    jaw = Mirrored(
        Tube(
            (
                (50, 6, -32),
                (48, 0, -60),
                (45, -12, -86),
                (34, -52, -96),
                (18, -82, -99),
                (0, -92, -99),
            ),
            (5, 6, 7.5, 7.5, 8, 9),
        )
    )
    canvas.paint(Tissue.BONE, jaw, skin_mm=4.0)
    canvas.paint(Tissue.MARROW, jaw, grow=-2.4)
    for level, half in ((-70.0, 25.0), (-82.0, 24.0)):
        row = Mirrored(
            Tube(
                ((half, -50, level), (half - 3, -68, level), (12, -86, level), (0, -91, level)),
                (4.4, 4.2, 3.6, 3.4),
            )
        )
        canvas.paint(Tissue.TEETH, row, grow=1.6)
    canvas.paint(
        Tissue.MUSCLE,
        Blend(
            (Ellipsoid((0, -52, -76), (20, 30, 16)), Ellipsoid((0, -28, -84), (18, 16, 20))), 8.0
        ),
    )


def eyes(canvas: Canvas) -> None:
    """Fat of the orbits, eyeballs with lenses, optic nerves and muscles."""
    cone = Mirrored(
        Blend(
            (
                Ellipsoid((31, -68, -17), (17, 19, 16)),
                Tube(((30, -62, -17), (17, -28, -13)), (13, 3)),
            ),
            8.0,
        )
    )
    canvas.paint(Tissue.FAT, cone, skin_mm=3.0)
    for a, c in ((31, -5), (31, -29), (18, -17), (44, -17)):
        strap = Mirrored(Tube(((a, -72, c), (19, -32, -13)), (1.9, 1.6)))
        canvas.paint(Tissue.MUSCLE, strap, over=(Tissue.FAT,))
    canvas.paint(Tissue.WHITE, Mirrored(Tube(((31, -66, -17), (8, -18, -8)), (2.1, 2.1))))
    ball = Mirrored(Ellipsoid((32, -79, -17), (12.2, 12.2, 12.2)))
    canvas.paint(Tissue.MUCOSA, ball)
    canvas.paint(Tissue.VITREOUS, ball, grow=-1.1)
    canvas.paint(Tissue.LENS, Mirrored(Ellipsoid((32, -87, -17), (4.6, 2.2, 4.6))))


def airways(canvas: Canvas, seed: int) -> None:
    """Nose with conchae and septum, sinuses, throat, mouth, ear canals, mastoid cells."""
    cavities = (
        Mirrored(Ellipsoid((27, -62, -42), (12.5, 17, 15))),
        Mirrored(Ellipsoid((9, -82, 3), (7.5, 4, 8))),
        Mirrored(Ellipsoid((7, -24, -14), (7, 10, 8))),
        Mirrored(Box((8, -56, -14), (5, 20, 9), 3.0)),
    )
    for cavity in cavities:
        canvas.paint(Tissue.BONE, cavity, grow=1.8, over=(Tissue.MUSCLE, Tissue.FAT, Tissue.MARROW))
        canvas.paint(Tissue.AIR, cavity)
    walls = Mirrored(
        Blend(
            (Box((8, -58, -46), (7.2, 30, 13), 6.0), Ellipsoid((6, -62, -30), (5.5, 25, 15))), 6.0
        )
    )
    canvas.paint(Tissue.MUCOSA, walls)
    canvas.paint(Tissue.AIR, walls, grow=-1.3)
    for level, reach in ((-48.0, 5.0), (-37.0, 4.6), (-28.0, 3.4)):
        concha = Mirrored(Tube(((11.5, -80, level), (11.5, -42, level)), (reach, reach - 0.8)))
        canvas.paint(Tissue.MUCOSA, concha, over=(Tissue.AIR,))
    canvas.paint(Tissue.MUCOSA, Box((0, -60, -38), (1.8, 28, 19), 1.0))
    canvas.paint(Tissue.BONE, Box((0, -50, -34), (0.6, 18, 14), 0.5))
    canvas.paint(Tissue.AIR, Mirrored(Tube(((5.5, -90, -44), (6.5, -108, -49)), (3.6, 3.4))))
    throat = Tube(
        ((0, -32, -42), (0, -14, -52), (0, -6, -84), (0, -4, -112), (0, -2, -160)),
        (9, 8.5, 7, 6.5, 8.5),
    )
    canvas.paint(Tissue.MUCOSA, throat, grow=2.0)
    canvas.paint(Tissue.AIR, throat)
    canvas.paint(Tissue.AIR, Ellipsoid((0, -58, -62.5), (15, 24, 2.2)), over=(Tissue.MUSCLE,))
    canvas.paint(Tissue.AIR, Mirrored(Tube(((82, 22, -22), (56, 21, -22)), (3.4, 2.8))))
    cells = Mirrored(Tube(((58, 33, -26), (54, 32, -46)), (9.5, 5)))
    index, (x, y, z) = canvas.window(cells)
    honeycomb = np.abs(waves(x, y, z, length_mm=8.0, count=10, seed=seed + 5)) > 0.55
    inside = (cells.distance(x, y, z) < 0) & honeycomb
    canvas.tissue[index][inside] = Tissue.AIR
