"""Weights of 30 young rats, one row a rat and day, from the published table (one row a rat).

Run ``python data/rats/make.py``: it writes data.csv beside itself.
"""

import csv
from pathlib import Path

DAYS = (8, 15, 22, 29, 36)
WEIGHTS = [
    (151, 199, 246, 283, 320),
    (145, 199, 249, 293, 354),
    (147, 214, 263, 312, 328),
    (155, 200, 237, 272, 297),
    (135, 188, 230, 280, 323),
    (159, 210, 252, 298, 331),
    (141, 189, 231, 275, 305),
    (159, 201, 248, 297, 338),
    (177, 236, 285, 350, 376),
    (134, 182, 220, 260, 296),
    (160, 208, 261, 313, 352),
    (143, 188, 220, 273, 314),
    (154, 200, 244, 289, 325),
    (171, 221, 270, 326, 358),
    (163, 216, 242, 281, 312),
    (160, 207, 248, 288, 324),
    (142, 187, 234, 280, 316),
    (156, 203, 243, 283, 317),
    (157, 212, 259, 307, 336),
    (152, 203, 246, 286, 321),
    (154, 205, 253, 298, 334),
    (139, 190, 225, 267, 302),
    (146, 191, 229, 272, 302),
    (157, 211, 250, 285, 323),
    (132, 185, 237, 286, 331),
    (160, 207, 257, 303, 345),
    (169, 216, 261, 295, 333),
    (157, 205, 248, 289, 316),
    (137, 180, 219, 258, 291),
    (153, 200, 244, 286, 324),
]


def main() -> None:
    """Write one row for each rat and day."""
    rows: list[list[object]] = [["rat", "age_days", "age_centered", "weight_g"]]
    for i, weights in enumerate(WEIGHTS, start=1):
        rows += [[f"R{i:02d}", day, day - 22, weight] for day, weight in zip(DAYS, weights, strict=True)]
    with (Path(__file__).parent / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
