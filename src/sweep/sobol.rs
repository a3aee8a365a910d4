//! Sobol's sequence: points that fill a cube more evenly than chance does.
//!
//! Directions as in S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections" (2008),
//! first 21 dimensions; points in Gray code order (Antonov and Saleev 1979).

/// Dimensions that have directions.
pub const MAX_DIMENSIONS: usize = 21;
/// Bits of a coordinate; the sequence has 2^32 points.
const BITS: usize = 32;

/// Degree, inner coefficients of the primitive polynomial, initial directions; for dimension 2 and up.
const DIRECTIONS: [(u32, u32, &[u32]); MAX_DIMENSIONS - 1] = [
    (1, 0, &[1]),
    (2, 1, &[1, 3]),
    (3, 1, &[1, 3, 1]),
    (3, 2, &[1, 1, 1]),
    (4, 1, &[1, 1, 3, 3]),
    (4, 4, &[1, 3, 5, 13]),
    (5, 2, &[1, 1, 5, 5, 17]),
    (5, 4, &[1, 1, 5, 5, 5]),
    (5, 7, &[1, 1, 7, 11, 19]),
    (5, 11, &[1, 1, 5, 1, 1]),
    (5, 13, &[1, 1, 1, 3, 11]),
    (5, 14, &[1, 3, 5, 5, 31]),
    (6, 1, &[1, 3, 3, 9, 7, 49]),
    (6, 13, &[1, 1, 1, 15, 21, 21]),
    (6, 16, &[1, 3, 1, 13, 27, 49]),
    (6, 19, &[1, 1, 1, 15, 7, 5]),
    (6, 22, &[1, 3, 1, 15, 13, 25]),
    (6, 25, &[1, 1, 5, 5, 19, 61]),
    (7, 1, &[1, 3, 7, 11, 23, 15, 103]),
    (7, 4, &[1, 3, 7, 13, 13, 15, 69]),
];

/// The points in order, each coordinate as 32 bits of a binary fraction.
#[derive(Clone, Debug)]
pub struct Sobol {
    directions: Vec<[u32; BITS]>,
    state: Vec<u32>,
    index: u32,
    done: bool,
}

impl Sobol {
    /// From the first point, which is 0 everywhere. `None` for more than [`MAX_DIMENSIONS`].
    pub fn new(dimensions: usize) -> Option<Sobol> {
        if dimensions > MAX_DIMENSIONS {
            return None;
        }
        let directions: Vec<[u32; BITS]> = (0..dimensions).map(directions).collect();
        Some(Sobol { state: vec![0; dimensions], directions, index: 0, done: false })
    }
}

impl Iterator for Sobol {
    type Item = Vec<u32>;
    fn next(&mut self) -> Option<Vec<u32>> {
        if self.done {
            return None;
        }
        let point = self.state.clone();
        // The next Gray code differs in the bit of the lowest zero.
        let bit = self.index.trailing_ones() as usize;
        if bit >= BITS {
            self.done = true;
            return Some(point);
        }
        for (state, directions) in self.state.iter_mut().zip(&self.directions) {
            *state ^= directions[bit];
        }
        self.index += 1;
        Some(point)
    }
}

/// Direction numbers of a dimension (from 0), shifted to the top.
fn directions(dimension: usize) -> [u32; BITS] {
    let mut v = [0u32; BITS];
    let Some((degree, inner, initial)) = dimension.checked_sub(1).and_then(|d| DIRECTIONS.get(d)) else {
        // The first dimension is van der Corput's sequence.
        for (i, v) in v.iter_mut().enumerate() {
            *v = 1 << (BITS - 1 - i);
        }
        return v;
    };
    let s = *degree as usize;
    for i in 0..BITS {
        v[i] = if i < s {
            initial[i] << (BITS - 1 - i)
        } else {
            let mut next = v[i - s] ^ (v[i - s] >> s);
            for k in 1..s {
                if inner >> (s - 1 - k) & 1 == 1 {
                    next ^= v[i - k];
                }
            }
            next
        };
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_points_of_two_dimensions() {
        // The textbook sequence (Bratley and Fox), in quarters and eighths.
        let eighths = |x: &u32| x >> 29;
        let points: Vec<(u32, u32)> =
            Sobol::new(2).unwrap().take(8).map(|p| (eighths(&p[0]), eighths(&p[1]))).collect();
        assert_eq!(points, [(0, 0), (4, 4), (6, 2), (2, 6), (3, 3), (7, 7), (5, 1), (1, 5)]);
    }

    #[test]
    fn every_dimension_is_stratified_at_every_power_of_two() {
        for bits in [1u32, 4, 7, 10] {
            let points: Vec<Vec<u32>> = Sobol::new(MAX_DIMENSIONS).unwrap().take(1 << bits).collect();
            for dimension in 0..MAX_DIMENSIONS {
                let mut cells: Vec<u32> =
                    points.iter().map(|p| p[dimension] >> (BITS as u32 - bits)).collect();
                cells.sort_unstable();
                assert!(cells.into_iter().eq(0..1 << bits), "dimension {dimension}, {bits} bits");
            }
        }
        assert!(Sobol::new(MAX_DIMENSIONS + 1).is_none());
    }

    #[test]
    fn polynomials_are_primitive_and_directions_legal() {
        for (degree, inner, initial) in DIRECTIONS {
            assert_eq!(initial.len(), degree as usize);
            for (i, m) in initial.iter().enumerate() {
                assert!(m % 2 == 1 && *m < 2 << i, "{initial:?}");
            }
            // x has the order 2^degree - 1 modulo the polynomial.
            let polynomial = 1 << degree | inner << 1 | 1;
            let (mut power, mut order) = (1u32, 0);
            loop {
                power <<= 1;
                if power >> degree & 1 == 1 {
                    power ^= polynomial;
                }
                order += 1;
                if power == 1 || order > 1 << degree {
                    break;
                }
            }
            assert_eq!(order, (1 << degree) - 1, "degree {degree}, inner {inner}");
        }
    }

    #[test]
    fn pairs_of_dimensions_are_no_worse_than_a_grid() {
        // Among 1024 points, each of the 16 x 16 cells of the first dimensions' pairs holds about four.
        let points: Vec<Vec<u32>> = Sobol::new(8).unwrap().take(1024).collect();
        for a in 0..8 {
            for b in 0..a {
                let mut cells = [0u32; 256];
                points.iter().for_each(|p| cells[((p[a] >> 28) * 16 + (p[b] >> 28)) as usize] += 1);
                assert!(cells.iter().all(|n| *n >= 1), "dimensions {a} and {b}");
            }
        }
    }
}
