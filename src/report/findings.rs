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

/// The finding about stranded CPU over all variants; `allocatable_milli` is the CPU of the whole cluster, per variant.
pub fn stranding(variants: &[VariantSummary], allocatable_milli: &[f64]) -> String {
    let share = |i: usize| match allocatable_milli.get(i) {
        Some(&all) if all > 0.0 => variants[i].stranded.peak.cpu_milli / all,
        _ => 0.0,
    };
    let worst = (0..variants.len()).max_by(|&a, &b| share(a).total_cmp(&share(b)).then(b.cmp(&a)));
    let best = (0..variants.len()).min_by(|&a, &b| share(a).total_cmp(&share(b)).then(a.cmp(&b)));
    let (Some(worst), Some(best)) = (worst, best) else { return "Nothing was run".into() };
    if share(worst) == 0.0 {
        return "Local disks strand no CPU".into();
    }
    let onset = match variants[worst].stranded.onset {
        Some(at) => format!(", beginning when {} of the disk is bound", percent(at)),
        None => String::new(),
    };
    let head = format!("Full disks strand up to {} of the CPU", percent(share(worst)));
    if variants.len() == 1 || share(best) == share(worst) {
        return format!("{head}{onset}");
    }
    let other = if share(best) == 0.0 { "none".into() } else { percent(share(best)) };
    format!("{head} with {}{onset}; {other} with {}", variants[worst].name, variants[best].name)
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
