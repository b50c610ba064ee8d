"""How often the 95% intervals of `analyst.ranking` cover the truth, beside the plain percentile bootstrap.

Simulated histories: emergencies at places, of which some are worse than others for good, and all wander for days
around what they are; all nights are busier or quieter together. Places are ranked by decayed counts, and the first of
them take their hits. The truth is the mean over all histories of a setting. No database is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sentinel_etl.analyst.ranking.intervals import block_length, circular_blocks, draw_blocks, estimate

__all__ = ["SETTINGS", "Setting", "compare", "cover"]

Floats = npt.NDArray[np.float64]

HISTORIES = 2_000
TOGETHER = 250  # histories that are simulated at once
WARM_UP = 40
HALF_LIFE = 3.0  # nights


@dataclass(frozen=True)
class Setting:
    """A city: nights and places, the share of these that is taken, how long trouble stays, and what is looked at.

    ``memory``  correlation of a place's trouble with its own a night before; ``spread`` its standard deviation, of the
                logarithm; ``horizon``: nights that each value looks over
    """

    name: str
    nights: int = 90
    share: float = 0.10
    memory: float = 0.7
    spread: float = 0.3
    horizon: int = 1
    places: int = 60
    emergencies: float = 0.4  # at an ordinary place in a night


SETTINGS = (
    Setting("60 nights", nights=60),
    Setting("90 nights"),
    Setting("90 nights, nothing wanders", memory=0.0),
    Setting("90 nights, top 1 %", share=0.01),
    Setting("90 nights, week ahead", horizon=7),
    Setting("180 nights, week ahead", nights=180, horizon=7),
    Setting("180 nights, trouble stays for weeks", nights=180, memory=0.9),
)


def compare(histories: int = HISTORIES, settings: tuple[Setting, ...] = SETTINGS) -> dict[str, float]:
    """Print the coverage of each setting, and how it compares with that of the percentile interval."""
    print(f"95% intervals over {histories:,} simulated histories: share that covers the truth")
    found = {}
    for number, setting in enumerate(settings):
        ours, plain, width = cover(setting, histories, seed=number)
        found[setting.name] = ours
        ratio = (1 - plain) / max(1 - ours, 1 / histories)
        print(
            f"  {setting.name:36} {ours:6.1%}  percentile {plain:6.1%}  width {width:.3f}  "
            f"misses of the percentile over ours: ratio {ratio:.2f}"
        )
    return found


def cover(setting: Setting, histories: int, seed: int = 0) -> tuple[float, float, float]:
    """Give the share of histories that each interval covers, ours and the percentile's; and our mean width."""
    random = np.random.default_rng([seed, 17])
    parts = [simulate(setting, min(TOGETHER, histories - first), random) for first in range(0, histories, TOGETHER)]
    hits, totals = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    truth = hits.sum() / totals.sum()
    ours, plain, width = 0, 0, 0.0
    for number, (one, total) in enumerate(zip(hits, totals, strict=True)):
        found = estimate([one], [total], horizon=setting.horizon, seed=number, least=0)
        ours += found.low <= truth <= found.high
        low, high = percentile(one, total, setting.horizon, number)
        plain += low <= truth <= high
        width += found.high - found.low
    return ours / histories, plain / histories, width / histories


def simulate(setting: Setting, histories: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw histories, rank each morning by what came before, and count: hits and totals, history × night."""
    nights = WARM_UP + setting.nights + setting.horizon - 1
    shape = (histories, setting.places)
    lasting = np.exp(0.7 * np.random.default_rng(5).standard_normal(setting.places))
    scores, trouble, busy = np.zeros(shape), random.standard_normal(shape), np.zeros((histories, 1))
    most = max(1, round(setting.share * setting.places))
    counts, orders = [], []
    for _ in range(nights):
        trouble = setting.memory * trouble + np.sqrt(1 - setting.memory**2) * random.standard_normal(shape)
        busy = 0.6 * busy + 0.8 * random.standard_normal((histories, 1))
        danger = np.exp(setting.spread * trouble - setting.spread**2 / 2 + 0.2 * busy - 0.02)
        # Equal scores in any order: what is added is less than any difference.
        orders.append(np.argpartition(-scores - 1e-9 * random.random(shape), most - 1, axis=1)[:, :most])
        counts.append(random.poisson(setting.emergencies * lasting * danger).astype(np.float64))
        scores = scores * 0.5 ** (1 / HALF_LIFE) + counts[-1]
    hits, totals = [], []
    for night in range(WARM_UP, WARM_UP + setting.nights):
        found = np.sum(counts[night : night + setting.horizon], axis=0)
        hits.append(np.take_along_axis(found, orders[night], axis=1).sum(axis=1))
        totals.append(found.sum(axis=1))
    return np.stack(hits, axis=1), np.stack(totals, axis=1)


def percentile(hits: Floats, totals: Floats, horizon: int, seed: int) -> tuple[float, float]:
    """Give the plain percentile interval of the same draws of blocks."""
    length = block_length(len(hits), horizon)
    drawn = draw_blocks(len(hits), round(len(hits) / length), seed)
    above, below = (circular_blocks(each, length)[drawn].sum(axis=1) for each in (hits, totals))
    low, high = np.quantile(above / below, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    compare()
