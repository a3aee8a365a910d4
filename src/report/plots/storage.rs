//! Where the disk is at the end of the run: asked for, wasted by kind, free; a bar per variant.

use super::canvas::{self, Anchor, Canvas, Frame, LABEL, MARGIN, PlotError, Type};
use super::hover::Picture;
use super::lines::{KeyEntry, key, key_height};
use super::{WIDTH, measure};
use crate::report::palette::{self, Colour, FREE, GREY, INK, PAPER, meaning};
use crate::report::plot::PlotInput;
use crate::report::{findings, human};
use crate::results::summary::{StorageSummary, VariantSummary};

/// A kind of disk bytes: name, colour, and how many there are. Together they are all the disk there is.
struct Kind {
    name: &'static str,
    colour: Colour,
    bytes: fn(&StorageSummary) -> u128,
}

const KINDS: [Kind; 7] = [
    Kind { name: "asked for", colour: meaning::DISK, bytes: |s| s.requested_bytes },
    Kind { name: "bound beyond the request", colour: meaning::WASTED, bytes: |s| s.over_size_bytes },
    Kind { name: "released, not reusable", colour: palette::PURPLE, bytes: |s| s.released_bytes },
    Kind { name: "unreachable", colour: meaning::DOWN, bytes: |s| s.unreachable_bytes },
    Kind { name: "free, fits no claim", colour: meaning::STRANDED, bytes: |s| s.unusable_free_bytes },
    Kind { name: "free", colour: FREE, bytes: |s| s.free_bytes.saturating_sub(s.unusable_free_bytes) },
    Kind { name: "in no volume", colour: meaning::OTHER, bytes: |s| s.uncarved_bytes },
];

const BAR: f64 = 58.0;
const ROW: f64 = 128.0;

/// Draws it.
///
/// # Errors
/// [`PlotError`] if the backend fails.
pub fn svg(input: &PlotInput<'_>) -> Result<Picture, PlotError> {
    let summaries = input.summaries();
    let title = title(&summaries);
    let note = "Bytes of all disks at the end. Below each bar: what of the bound disk stuck pods hold, and what no pod uses.";
    let entries: Vec<KeyEntry> = KINDS
        .iter()
        .filter(|k| summaries.iter().any(|v| (k.bytes)(&v.storage) > 0))
        .map(|k| (k.colour, false, k.name.to_owned()))
        .collect();
    let key_top = canvas::title_height(&title, note, WIDTH);
    let first = key_top + key_height(&entries, WIDTH - 2.0 * MARGIN) + 14.0;
    let height = first + ROW * summaries.len().max(1) as f64 + MARGIN;
    let most = summaries.iter().map(|v| total(&v.storage)).max().unwrap_or(0).max(1);
    let description = format!("{title}. A stacked bar per variant.");
    canvas::draw((WIDTH as u32, height as u32), &title, &description, |c| {
        c.title(&title, note, WIDTH);
        key(c, &entries, (MARGIN, key_top), WIDTH - MARGIN);
        for (i, v) in summaries.iter().enumerate() {
            bar(c, v, i, first + ROW * i as f64, most);
        }
    })
}

/// All disk: volumes and what lies in no volume.
fn total(s: &StorageSummary) -> u128 {
    KINDS.iter().map(|k| (k.bytes)(s)).sum()
}

fn title(summaries: &[VariantSummary]) -> String {
    let asked = |i: usize| human::bytes(summaries[i].storage.requested_bytes);
    let of = summaries.first().map(|v| human::bytes(total(&v.storage))).unwrap_or_default();
    match findings::extremes(summaries, |v| v.storage.requested_bytes as f64) {
        _ if summaries.is_empty() => "Nothing was run".into(),
        Some((least, most)) if asked(least) != asked(most) => format!(
            "Of {of} of disk, {} hold what was asked for with {}, {} with {}",
            asked(most),
            summaries[most].name,
            asked(least),
            summaries[least].name
        ),
        _ => format!(
            "Of {of} of disk, {} hold what was asked for and {} are bound beyond that",
            asked(0),
            human::bytes(summaries[0].storage.over_size_bytes)
        ),
    }
}

fn bar(c: &mut Canvas<'_>, v: &VariantSummary, index: usize, top: f64, most: u128) {
    let room = WIDTH - 2.0 * MARGIN;
    let all = total(&v.storage);
    let name = measure::fitted(&v.name, LABEL, true, room * 0.7);
    c.text(&name, (MARGIN, top + LABEL * 0.7), Anchor::Start, Type::bold(LABEL, palette::variant(index)));
    let right = format!("{} in all", human::bytes(all));
    c.text(&right, (WIDTH - MARGIN, top + LABEL * 0.7), Anchor::End, Type::plain(LABEL, GREY));
    let mut left = MARGIN;
    let y = top + LABEL * 1.4;
    for kind in &KINDS {
        let bytes = (kind.bytes)(&v.storage);
        let width = bytes as f64 / most as f64 * room;
        let frame = Frame { left, top: y, right: left + width, bottom: y + BAR - 14.0 };
        c.rect(frame, kind.colour);
        // A hair of paper between neighbours.
        c.rect(Frame { left: left + width - 2.0, right: left + width, ..frame }, PAPER);
        let text = human::bytes(bytes);
        if bytes > 0 && measure::width(&text, LABEL, false) + 14.0 < width {
            let look = Type::plain(LABEL, palette::text_on(kind.colour));
            c.text(&text, (left + width / 2.0, (frame.top + frame.bottom) / 2.0), Anchor::Middle, look);
        }
        left += width;
    }
    let held = [
        (v.storage.held_by_stuck_bytes, "held by stuck pods"),
        (v.storage.orphaned_bytes, "bound to claims that no pod uses"),
    ];
    let parts: Vec<String> =
        held.iter().filter(|h| h.0 > 0).map(|h| format!("{} {}", human::bytes(h.0), h.1)).collect();
    if !parts.is_empty() {
        let text = format!("of the bound: {}", parts.join(", "));
        let text = measure::fitted(&text, LABEL, false, room);
        c.text(&text, (MARGIN, y + BAR + 4.0), Anchor::Start, Type::plain(LABEL, INK));
    }
}
