use super::*;

fn of(requested: i64, allocatable: i64) -> Amounts {
    Amounts { requested, allocated: 0, allocatable }
}

#[test]
fn least_allocated_rounds_down_and_wraps() {
    for (requested, allocatable, want) in [
        (0, 4000, 100),
        (3000, 4000, 25),
        (1, 3, 66),
        (5000, 4000, 0),
        (4000, 4000, 0),
        // (2^60 - 0) * 100 wraps to -2^62 - ...: Go keeps the low 64 bits.
        (0, 1 << 60, ((1i128 << 60) * 100) as i64 / (1 << 60)),
    ] {
        assert_eq!(least_allocated(of(requested, allocatable)), want, "{requested} of {allocatable}");
    }
    assert!(
        !(0..=100).contains(&least_allocated(of(0, 1 << 58))),
        "above about 82 PiB the score leaves its range"
    );
}

#[test]
fn most_allocated_caps_at_the_capacity() {
    for (requested, allocatable, want) in [(0, 10, 0), (3, 4, 75), (1, 3, 33), (9, 4, 100)] {
        assert_eq!(most_allocated(of(requested, allocatable)), want);
    }
}

#[test]
fn strategies_weigh_resources() {
    use ScoringStrategy::{LeastAllocated, MostAllocated, RequestedToCapacityRatio};
    let shape = |points: &[(i64, i64)]| {
        RequestedToCapacityRatio(
            points.iter().map(|&(utilization, score)| ShapePoint { utilization, score }).collect(),
        )
    };
    let rising = shape(&[(0, 0), (100, 10)]);
    for (strategy, resources, want) in [
        (&LeastAllocated, &[(1, of(3000, 4000)), (1, of(5000, 10000))][..], 37), // (25 + 50) / 2
        (&LeastAllocated, &[(1, of(3000, 4000)), (2, of(5000, 10000))], 41),     // (25 + 100) / 3
        (&LeastAllocated, &[(1, of(0, 0)), (1, of(5000, 10000))], 50), // a missing resource does not weigh
        (&LeastAllocated, &[(1, of(0, 0))], 0),
        (&MostAllocated, &[(1, of(3000, 4000)), (1, of(5000, 10000))], 62),
        (&rising, &[(1, of(3000, 4000)), (1, of(5000, 10000))], 63), // 62.5 rounds away from zero
        (&rising, &[(1, of(0, 4000)), (1, of(5000, 10000))], 50),    // a score of 0 does not weigh
        (&rising, &[(3, of(1000, 4000)), (1, of(9, 4))], 44),        // (75 + 100) / 4 = 43.75
        (&shape(&[(0, 10), (100, 0)]), &[(1, of(0, 4000)), (1, of(5, 10))], 75),
    ] {
        assert_eq!(strategy_score(strategy, resources.iter().copied()), want, "{strategy:?} {resources:?}");
    }
}

#[test]
fn extended_resource_names() {
    for (name, want) in [
        ("cpu", false),
        ("hugepages-2Mi", false),
        ("example.com/foo", true),
        ("kubernetes.io/foo", false),
        ("sub.kubernetes.io/foo", false),
        ("requests.nvidia.com/gpu", false),
    ] {
        assert_eq!(is_extended(name), want, "{name}");
    }
}
