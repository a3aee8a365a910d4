//! What the numbers say, in sentences: the titles of plots and the first lines of reports.

use super::human::{cores, count, percent, plural};
use crate::results::VariantSummary;

/// `29 of 180 pods are stuck, 24 of them by binding` for one variant.
pub fn verdict(v: &VariantSummary) -> String {
    let pods = &v.pods;
    if pods.wanted == 0 {
        return "no pod is wanted at the end".into();
    }
    if pods.stuck == 0 {
        return match pods.stuck_ever {
            0 if pods.wanted == 1 => "the only pod runs; it was never stuck".into(),
            0 => format!("all {} run; none was ever stuck", plural(pods.wanted, "pod")),
            ever => format!("no pod is stuck at the end; {} of them were at some time", count(ever)),
        };
    }
    let are = if pods.stuck == 1 { "is" } else { "are" };
    let head = format!("{} of {} {are} stuck", count(pods.stuck), plural(pods.wanted, "pod"));
    match pods.stuck_by_binding {
        0 => format!("{head}, none by binding"),
        all if all == pods.stuck && all > 1 => format!("{head}, all of them by binding"),
        1 if pods.stuck == 1 => format!("{head}, by binding"),
        some => format!("{head}, {} of them by binding", count(some)),
    }
}

/// Which variants have the fewest and the most of something: `(best, worst)` by position, `None` when all are equal.
pub fn extremes<F: Fn(&VariantSummary) -> f64>(variants: &[VariantSummary], of: F) -> Option<(usize, usize)> {
    let mut best = 0;
    let mut worst = 0;
    for i in 1..variants.len() {
        if of(&variants[i]) < of(&variants[best]) {
            best = i;
        }
        if of(&variants[i]) > of(&variants[worst]) {
            worst = i;
        }
    }
    (best != worst).then_some((best, worst))
}

/// The finding about stuck pods over all variants.
pub fn stuck(variants: &[VariantSummary]) -> String {
    match variants {
        [] => "Nothing was run".into(),
        [one] => capital(&verdict(one)),
        _ if variants.iter().all(|v| v.pods.stuck == 0) => {
            match variants.iter().map(|v| v.pods.stuck_ever).max() {
                Some(0) | None => "No pod was ever stuck, whatever the variant".into(),
                Some(most) => format!("No pod is stuck at the end; up to {} were at some time", count(most)),
            }
        }
        _ => match extremes(variants, |v| v.pods.stuck as f64) {
            None => {
                format!("{} stuck at the end, whatever the variant", plural(variants[0].pods.stuck, "pod"))
            }
            Some((best, worst)) => format!(
                "{} stuck at the end with {}, {} with {}",
                plural(variants[worst].pods.stuck, "pod"),
                variants[worst].name,
                none_or(variants[best].pods.stuck),
                variants[best].name
            ),
        },
    }
}

/// What full disks did to one variant, for [`stranding`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filled<'a> {
    /// The variant's name.
    pub name: &'a str,
    /// The largest share of disk that was bound, 0 to 1.
    pub bound: f64,
    /// The share of CPU that was stranded when it was.
    pub stranded: f64,
    /// The largest share of CPU that was stranded at any time.
    pub peak: f64,
}

/// The finding about stranded CPU over all variants.
///
/// It tells the state with the most disk bound, not the peak: before the first pods of a workload are known, one template
/// that fits few volumes strands most of an empty cluster.
pub fn stranding(variants: &[Filled<'_>]) -> String {
    let by = |of: fn(&Filled<'_>) -> f64| {
        let worst = variants.iter().rev().max_by(|a, b| of(a).total_cmp(&of(b)));
        let best = variants.iter().min_by(|a, b| of(a).total_cmp(&of(b)));
        worst.zip(best)
    };
    let Some((worst, best)) = by(|v| v.stranded) else { return "Nothing was run".into() };
    if worst.stranded > 0.0 {
        let head = format!(
            "{} of the CPU is stranded with {} of the disk bound",
            percent(worst.stranded),
            percent(worst.bound)
        );
        if variants.len() == 1 {
            return head;
        }
        if percent(worst.stranded) == percent(best.stranded) {
            return format!("{head}, whatever the variant");
        }
        let other = if best.stranded == 0.0 { "none".into() } else { percent(best.stranded) };
        return format!("{head} ({}), {other} with {} ({})", worst.name, percent(best.bound), best.name);
    }
    match by(|v| v.peak) {
        Some((most, _)) if most.peak > 0.0 => {
            let with = if variants.len() == 1 { String::new() } else { format!(" with {}", most.name) };
            format!(
                "Disks strand no CPU once they are as full as they get; earlier up to {}{with}",
                percent(most.peak)
            )
        }
        _ => "Local disks strand no CPU".into(),
    }
}

/// `4 cores`, `1 core`.
pub fn cores_text(milli: f64) -> String {
    let n = cores(milli);
    if n == "1" { "1 core".into() } else { format!("{n} cores") }
}

/// `none` instead of 0.
pub fn none_or(n: u64) -> String {
    if n == 0 { "none".into() } else { count(n) }
}

/// With a capital first letter.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str, wanted: u64, stuck: u64, by_binding: u64) -> VariantSummary {
        let mut v = VariantSummary { name: name.into(), ..VariantSummary::default() };
        (v.pods.wanted, v.pods.stuck, v.pods.stuck_by_binding, v.pods.stuck_ever) =
            (wanted, stuck, by_binding, stuck);
        v
    }

    #[test]
    fn verdicts() {
        for (wanted, stuck, by_binding, want) in [
            (180, 29, 24, "29 of 180 pods are stuck, 24 of them by binding"),
            (180, 2, 2, "2 of 180 pods are stuck, all of them by binding"),
            (1, 1, 1, "1 of 1 pod is stuck, by binding"),
            (3, 1, 0, "1 of 3 pods is stuck, none by binding"),
            (180, 0, 0, "all 180 pods run; none was ever stuck"),
            (0, 0, 0, "no pod is wanted at the end"),
        ] {
            assert_eq!(verdict(&variant("x", wanted, stuck, by_binding)), want);
        }
    }

    #[test]
    fn stranding_is_told_by_the_fullest_state() {
        let filled = |name, bound, stranded, peak| Filled { name, bound, stranded, peak };
        let (a, b) = (filled("a", 0.74, 0.21, 0.67), filled("b", 0.96, 0.045, 0.67));
        assert_eq!(
            stranding(&[a, b]),
            "21 % of the CPU is stranded with 74 % of the disk bound (a), 4.5 % with 96 % (b)"
        );
        assert_eq!(stranding(&[a]), "21 % of the CPU is stranded with 74 % of the disk bound");
        let none = filled("c", 0.5, 0.0, 0.67);
        assert_eq!(
            stranding(&[a, none]),
            "21 % of the CPU is stranded with 74 % of the disk bound (a), none with 50 % (c)"
        );
        assert_eq!(
            stranding(&[none]),
            "Disks strand no CPU once they are as full as they get; earlier up to 67 %"
        );
        assert_eq!(stranding(&[filled("d", 1.0, 0.0, 0.0)]), "Local disks strand no CPU");
    }

    #[test]
    fn the_finding_names_best_and_worst() {
        let (a, b, c) = (variant("a", 9, 3, 3), variant("b", 9, 0, 0), variant("c", 9, 3, 0));
        assert_eq!(
            super::stuck(&[a.clone(), b.clone(), c.clone()]),
            "3 pods stuck at the end with a, none with b"
        );
        assert_eq!(super::stuck(&[a, c]), "3 pods stuck at the end, whatever the variant");
        assert_eq!(super::stuck(&[b.clone(), b]), "No pod was ever stuck, whatever the variant");
    }
}
