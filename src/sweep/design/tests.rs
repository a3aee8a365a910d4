use super::*;
use crate::diagnostic::{Sources, Span};
use crate::scenario::axes::cell;
use crate::scenario::tree::Value;
use crate::scenario::types::Spanned;
use std::collections::BTreeSet;

fn span() -> Span {
    Span { source: Sources::new().add("test", ""), start: 0, end: 0 }
}

fn axis(path: &str, length: u32) -> Axis {
    let value = |i: u32| Value::plain(span(), &i.to_string());
    Axis { path: Spanned { value: path.to_owned(), span: span() }, values: (0..length).map(value).collect() }
}

fn sweep(lengths: &[u32], design: Design, filters: &[&str]) -> Sweep {
    let filter = |text: &&str| Spanned { value: (*text).to_owned(), span: span() };
    Sweep {
        replications: 1,
        axes: lengths.iter().enumerate().map(|(i, n)| axis(&format!("a{i}"), *n)).collect(),
        design,
        variants: Vec::new(),
        filters: filters.iter().map(filter).collect(),
    }
}

fn cells(sweep: &Sweep, seed: u64) -> Vec<Vec<u32>> {
    let points = points(sweep, seed).unwrap();
    assert!(points.iter().enumerate().all(|(i, p)| p.index == i as u64));
    let of = |p: &Point| p.settings.iter().map(|s| cell(&s.value).parse().unwrap()).collect();
    points.iter().map(of).collect()
}

#[test]
fn a_grid_is_every_combination_the_last_axis_fastest() {
    let grid = cells(&sweep(&[2, 3], Design::Grid, &[]), 1);
    assert_eq!(grid, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]);
    let filtered = cells(&sweep(&[2, 3], Design::Grid, &["a0 + a1 >= 2"]), 1);
    assert_eq!(filtered, [[0, 2], [1, 1], [1, 2]]);
    // No axes: one point without settings.
    assert_eq!(cells(&sweep(&[], Design::Grid, &[]), 1), [Vec::<u32>::new()]);
}

#[test]
fn samples_are_distinct_repeatable_and_moved_by_the_seed() {
    for design in
        [Design::Random { points: 50 }, Design::LatinHypercube { points: 50 }, Design::Sobol { points: 50 }]
    {
        let sweep = sweep(&[1000, 1000, 1000], design, &[]);
        let first = cells(&sweep, 7);
        assert_eq!(first.len(), 50, "{design:?}");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 50);
        assert_eq!(first, cells(&sweep, 7));
        assert_ne!(first, cells(&sweep, 8));
    }
}

#[test]
fn a_latin_hypercube_hits_every_slice_of_every_axis_once() {
    let sample = cells(&sweep(&[400, 400], Design::LatinHypercube { points: 40 }, &[]), 3);
    for axis in 0..2 {
        let slices: BTreeSet<u32> = sample.iter().map(|p| p[axis] / 10).collect();
        assert_eq!(slices.len(), 40);
    }
}

#[test]
fn a_sobol_sample_of_a_power_of_two_is_stratified() {
    let sample = cells(&sweep(&[64, 64, 64], Design::Sobol { points: 64 }, &[]), 3);
    for axis in 0..3 {
        assert_eq!(sample.iter().map(|p| p[axis]).collect::<BTreeSet<u32>>().len(), 64);
    }
    let many = sweep(&[2; 22], Design::Sobol { points: 10 }, &[]);
    assert!(points(&many, 1).unwrap_err().message.contains("at most 21 axes"));
}

#[test]
fn filters_do_not_thin_a_random_sample_and_a_large_sample_is_the_grid() {
    let sample = cells(&sweep(&[100, 100], Design::Random { points: 30 }, &["a0 < a1"]), 1);
    assert_eq!(sample.len(), 30);
    assert!(sample.iter().all(|p| p[0] < p[1]));
    assert_eq!(cells(&sweep(&[3, 3], Design::Random { points: 9 }, &[]), 1).len(), 9);
    // Fewer than wanted exist: all of them are found.
    let few = cells(&sweep(&[10, 10], Design::Sobol { points: 50 }, &["a0 == 3"]), 1);
    assert_eq!(few.len(), 10);
    let none = points(&sweep(&[3, 3], Design::Grid, &["a0 > 5"]), 1).unwrap_err();
    assert!(none.message.contains("let no point pass"));
}
