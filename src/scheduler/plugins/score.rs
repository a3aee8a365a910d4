//! Score arithmetic that several plugins share.

use crate::scheduler::framework::MAX_NODE_SCORE;

/// `helper.DefaultNormalizeScore`: scales the highest score to 100; `reverse` turns best into worst.
pub fn default_normalize(scores: &mut [i64], reverse: bool) {
    let max = scores.iter().copied().max().unwrap_or(0).max(0);
    if max == 0 {
        if reverse {
            scores.fill(MAX_NODE_SCORE);
        }
        return;
    }
    for score in scores {
        *score = MAX_NODE_SCORE.wrapping_mul(*score) / max;
        if reverse {
            *score = MAX_NODE_SCORE - *score;
        }
    }
}

/// A point of a utilization shape: utilization in percent, score on the scale of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapePoint {
    /// 0..=100.
    pub utilization: i64,
    /// Value there.
    pub score: i64,
}

/// `helper.BuildBrokenLinearFunction`: linear between the points, constant outside, in integers. 0 without points.
pub fn broken_linear(shape: &[ShapePoint], p: i64) -> i64 {
    for (i, point) in shape.iter().enumerate() {
        if p <= point.utilization {
            let Some(before) = i.checked_sub(1).map(|b| shape[b]) else { return point.score };
            let (rise, run) = (point.score - before.score, point.utilization - before.utilization);
            return before.score + rise * (p - before.utilization) / run;
        }
    }
    shape.last().map_or(0, |point| point.score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizing() {
        for (scores, reverse, want) in [
            (&[1, 2, 3, 4][..], false, &[25, 50, 75, 100][..]),
            (&[1, 2, 3, 4], true, &[75, 50, 25, 0]),
            (&[0, 0], false, &[0, 0]),
            (&[0, 0], true, &[100, 100]),
            (&[0, 1, 3], true, &[100, 67, 0]),
            (&[1000, 10, 20, 30], false, &[100, 1, 2, 3]),
        ] {
            let mut got = scores.to_vec();
            default_normalize(&mut got, reverse);
            assert_eq!(got, want, "{scores:?} {reverse}");
        }
    }

    #[test]
    fn broken_lines() {
        let shape = |points: &[(i64, i64)]| -> Vec<ShapePoint> {
            points.iter().map(|&(utilization, score)| ShapePoint { utilization, score }).collect()
        };
        let falling = shape(&[(10, 90), (90, 10)]);
        for (p, want) in [(-10, 90), (0, 90), (10, 90), (15, 85), (89, 11), (90, 10), (100, 10)] {
            assert_eq!(broken_linear(&falling, p), want, "{p}");
        }
        let three = shape(&[(0, 2), (40, 10), (100, 0)]);
        for (p, want) in [(0, 2), (20, 6), (30, 8), (40, 10), (70, 5), (100, 0), (110, 0)] {
            assert_eq!(broken_linear(&three, p), want, "{p}");
        }
        assert_eq!(broken_linear(&[], 5), 0);
    }
}
