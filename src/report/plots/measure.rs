//! How wide text is in the embedded font, so that labels can be placed without drawing them first.

/// Units per em of the tables below.
const EM: f64 = 2048.0;
/// Advance widths of DejaVu Sans from blank to `~`.
const REGULAR: [u16; 95] = [
    651, 821, 942, 1716, 1303, 1946, 1597, 563, 799, 799, 1024, 1716, 651, 739, 651, 690, 1303, 1303, 1303,
    1303, 1303, 1303, 1303, 1303, 1303, 1303, 690, 690, 1716, 1716, 1716, 1087, 2048, 1401, 1405, 1430, 1577,
    1294, 1178, 1587, 1540, 604, 604, 1343, 1141, 1767, 1532, 1612, 1235, 1612, 1423, 1300, 1251, 1499, 1401,
    2025, 1403, 1251, 1403, 799, 690, 799, 1716, 1024, 1024, 1255, 1300, 1126, 1300, 1260, 721, 1300, 1298,
    569, 569, 1186, 569, 1995, 1298, 1253, 1300, 1300, 842, 1067, 803, 1298, 1212, 1675, 1212, 1212, 1075,
    1303, 690, 1303, 1716,
];
/// Advance widths of DejaVu Sans Bold from blank to `~`.
const BOLD: [u16; 95] = [
    713, 934, 1067, 1716, 1425, 2052, 1786, 627, 936, 936, 1071, 1716, 778, 850, 778, 748, 1425, 1425, 1425,
    1425, 1425, 1425, 1425, 1425, 1425, 1425, 819, 819, 1716, 1716, 1716, 1188, 2048, 1585, 1561, 1503, 1700,
    1399, 1399, 1681, 1714, 762, 762, 1587, 1305, 2038, 1714, 1741, 1501, 1741, 1577, 1475, 1397, 1663, 1585,
    2259, 1579, 1483, 1485, 936, 748, 936, 1716, 1024, 1024, 1382, 1466, 1214, 1466, 1389, 891, 1466, 1458,
    702, 702, 1362, 702, 2134, 1458, 1407, 1466, 1466, 1010, 1219, 979, 1458, 1335, 1892, 1321, 1335, 1192,
    1458, 748, 1458, 1716,
];

/// The width of `text` in the unit of `size`. Characters outside ASCII count as a whole em, which none of ours exceeds.
pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    let table = if bold { &BOLD } else { &REGULAR };
    let units = |c: char| table.get((c as usize).wrapping_sub(32)).map_or(EM, |w| f64::from(*w));
    text.chars().map(units).sum::<f64>() / EM * size
}

/// `text` on one line, cut with an ellipsis where it would be wider than `room`.
pub fn fitted(text: &str, size: f64, bold: bool, room: f64) -> String {
    let text = super::super::human::one_line(text);
    if width(&text, size, bold) <= room {
        return text;
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept, size, bold) + size > room {
            kept.pop();
            break;
        }
    }
    format!("{}…", kept.trim_end())
}

/// Breaks `text` at blanks into lines no wider than `room`; the last of `most` lines is cut.
pub fn broken(text: &str, size: f64, bold: bool, room: f64, most: usize) -> Vec<String> {
    let text = super::super::human::one_line(text);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || lines.len() + 1 == most || width(&longer, size, bold) <= room {
            line = longer;
        } else {
            lines.push(std::mem::replace(&mut line, word.to_owned()));
        }
    }
    lines.push(line);
    lines.iter().map(|l| fitted(l, size, bold, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_broken_to_the_room() {
        // "i" is 569 of 2048 units wide, "m" 1995.
        assert!((width("im", 2048.0, false) - 2564.0).abs() < 1e-9);
        let cut = fitted("wait-for-first-consumer", 20.0, false, 120.0);
        assert!(cut.ends_with('…') && width(&cut, 20.0, false) <= 120.0 + 20.0, "{cut}");
        let lines = broken("one two three four five six", 20.0, true, 130.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'), "{lines:?}");
    }
}
