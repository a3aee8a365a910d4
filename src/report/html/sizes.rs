//! Bound volumes against requests as a table, for those who do not see the picture.

use super::{Row, rows_table};
use crate::report::human;
use crate::report::plots::canvas::escaped;
use crate::report::statistics::nearest_rank;
use crate::results::RunOutput;
use crate::results::tables::VolumeRow;

/// One row per variant; nothing if no volume is bound.
pub fn table(run: &RunOutput) -> String {
    let rows: Vec<Row> = run.variants.iter().filter_map(|v| row(&v.summary.name, &v.volumes)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let head =
        ["Variant", "Bound volumes", "Asked for", "Capacity", "Capacity / request, median", "p90", "largest"];
    let table = rows_table(&head, &rows);
    format!("<details><summary>{}</summary>{table}</details>\n", escaped("The values as a table"))
}

fn row(name: &str, volumes: &[VolumeRow]) -> Option<Row> {
    let bound = volumes.iter().filter(|v| v.phase == "Bound" && v.capacity_bytes > 0);
    let pairs: Vec<(u128, u128)> =
        bound.filter_map(|v| v.request_bytes.filter(|r| *r > 0).map(|r| (r, v.capacity_bytes))).collect();
    let mut ratios: Vec<f64> = pairs.iter().map(|(asked, has)| *has as f64 / *asked as f64).collect();
    ratios.sort_by(f64::total_cmp);
    let rank = |percent| nearest_rank(&ratios, percent).map(|x| human::mean(libm::round(x * 100.0) / 100.0));
    let cells = vec![
        human::count(pairs.len() as u64),
        human::bytes(pairs.iter().map(|p| p.0).sum()),
        human::bytes(pairs.iter().map(|p| p.1).sum()),
        rank(50.0)?,
        rank(90.0)?,
        rank(100.0)?,
    ];
    Some(Row { head: name.to_owned(), cells })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bound_volumes_count() {
        let volume = |phase: &str, asked: u128, has: u128| VolumeRow {
            phase: phase.into(),
            request_bytes: Some(asked),
            capacity_bytes: has,
            ..VolumeRow::default()
        };
        let gib = 1u128 << 30;
        let volumes = [
            volume("Bound", 10 * gib, 20 * gib),
            volume("Bound", 10 * gib, 10 * gib),
            volume("Bound", 10 * gib, 50 * gib),
            volume("Released", 1, 1000 * gib),
        ];
        let row = row("a", &volumes).expect("some are bound");
        assert_eq!(row.cells, ["3", "30 GiB", "80 GiB", "2", "5", "5"]);
        assert!(super::row("a", &volumes[3..]).is_none());
    }
}
