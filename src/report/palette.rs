//! The colours of all pictures, the same for a variant or a resource wherever it appears.
//!
//! The hues follow Okabe and Ito, which people with any form of colour blindness tell apart; they are darkened so that text
//! in them reaches a contrast of 4.5 on white (WCAG 2 AA).

/// A colour as red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// Background of every picture.
pub const PAPER: Colour = Colour(0xff, 0xff, 0xff);
/// Titles and values.
pub const INK: Colour = Colour(0x1f, 0x23, 0x28);
/// Axis labels and notes.
pub const GREY: Colour = Colour(0x57, 0x60, 0x6a);
/// Grid lines.
pub const GRID: Colour = Colour(0xe3, 0xe6, 0xea);
/// Axis lines and frames.
pub const FRAME: Colour = Colour(0xae, 0xb5, 0xbd);
/// Free: room that can be used.
pub const FREE: Colour = Colour(0xec, 0xef, 0xf2);

/// Blue.
pub const BLUE: Colour = Colour(0x00, 0x5f, 0xa8);
/// Vermilion.
pub const VERMILION: Colour = Colour(0xbd, 0x4b, 0x00);
/// Green.
pub const GREEN: Colour = Colour(0x00, 0x74, 0x56);
/// Purple.
pub const PURPLE: Colour = Colour(0xa0, 0x3f, 0x7d);
/// Ochre.
pub const OCHRE: Colour = Colour(0x86, 0x64, 0x00);
/// Slate.
pub const SLATE: Colour = Colour(0x3f, 0x4a, 0x57);

const VARIANTS: [Colour; 6] = [VERMILION, BLUE, GREEN, PURPLE, OCHRE, SLATE];

/// The colour of the variant at `index`. From the seventh on the hues repeat and [`marked`] tells them apart.
pub fn variant(index: usize) -> Colour {
    VARIANTS[index % VARIANTS.len()]
}

/// The line of the variant at `index` carries dots.
pub fn marked(index: usize) -> bool {
    (index / VARIANTS.len()) % 2 == 1
}

/// What stands for a resource or a state.
pub mod meaning {
    use super::Colour;

    /// CPU.
    pub const CPU: Colour = super::BLUE;
    /// Memory.
    pub const MEMORY: Colour = super::PURPLE;
    /// Local disk.
    pub const DISK: Colour = super::GREEN;
    /// Free, but of no use to the workload.
    pub const STRANDED: Colour = super::VERMILION;
    /// Disk taken and not asked for.
    pub const WASTED: Colour = Colour(0x7f, 0xc4, 0xae);
    /// The pod limit.
    pub const PODS: Colour = super::OCHRE;
    /// Several obstacles, or an extended resource.
    pub const OTHER: Colour = Colour(0x8c, 0x95, 0x9f);
    /// Not there.
    pub const DOWN: Colour = super::INK;
}

/// A colour of pages: the name of its CSS variable, and what it is on light and on dark paper.
struct Themed(&'static str, Colour, Colour);

/// Pictures are drawn in the light colours; a page swaps each for its variable, so that it can be dark too.
const THEME: [Themed; 14] = [
    Themed("paper", PAPER, Colour(0x14, 0x18, 0x1d)),
    Themed("ink", INK, Colour(0xe6, 0xe9, 0xec)),
    Themed("grey", GREY, Colour(0xa3, 0xad, 0xb8)),
    Themed("grid", GRID, Colour(0x2a, 0x31, 0x3a)),
    Themed("frame", FRAME, Colour(0x5b, 0x66, 0x72)),
    Themed("free", FREE, Colour(0x24, 0x2b, 0x33)),
    Themed("blue", BLUE, Colour(0x5f, 0xb3, 0xf5)),
    Themed("vermilion", VERMILION, Colour(0xf5, 0x91, 0x4e)),
    Themed("green", GREEN, Colour(0x42, 0xc2, 0x9a)),
    Themed("purple", PURPLE, Colour(0xe0, 0x8c, 0xc0)),
    Themed("ochre", OCHRE, Colour(0xd3, 0xaa, 0x3b)),
    Themed("slate", SLATE, Colour(0xaa, 0xb6, 0xc4)),
    Themed("wasted", meaning::WASTED, Colour(0x2f, 0x6f, 0x5e)),
    Themed("other", meaning::OTHER, Colour(0x55, 0x5e, 0x6a)),
];

/// How much of a line's colour its pale companions have: bands, and lines that lead to labels.
pub const BAND: f64 = 0.16;
/// See [`BAND`].
pub const LEADER: f64 = 0.45;

/// The style sheet of both themes: dark where the system or the page's switch says so.
pub fn css() -> String {
    let block = |pick: fn(&Themed) -> Colour| {
        THEME.iter().map(|t| format!("--{}:{};", t.0, hex(pick(t)))).collect::<String>()
    };
    let light = block(|t| t.1);
    let dark = block(|t| t.2);
    format!(
        ":root{{color-scheme:light;{light}}}\n\
         @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n\
         @media print{{:root,:root[data-theme=dark],:root:not([data-theme=light]){{color-scheme:light;{light}}}}}\n"
    )
}

/// Every colour that pictures use, as `#rrggbb`, and the CSS that stands for it on a page.
pub fn themed_colours() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        THEME.iter().map(|t| (hex(t.1), format!("var(--{})", t.0))).collect();
    for t in THEME.iter().filter(|t| VARIANTS.contains(&t.1)) {
        for share in [BAND, LEADER] {
            let mix =
                format!("color-mix(in srgb,var(--{}) {}%,var(--paper))", t.0, libm::round(share * 100.0));
            all.push((hex(blend(PAPER, t.1, share)), mix));
        }
    }
    all
}

/// The CSS of a colour of pictures; the colour itself if it is none of the theme.
pub fn variable(c: Colour) -> String {
    THEME.iter().find(|t| t.1 == c).map_or_else(|| hex(c), |t| format!("var(--{})", t.0))
}

/// `#rrggbb`.
pub fn hex(c: Colour) -> String {
    format!("#{:02x}{:02x}{:02x}", c.0, c.1, c.2)
}

/// `share` of `over` on top of `under`, both opaque.
pub fn blend(under: Colour, over: Colour, share: f64) -> Colour {
    let mix = |a: u8, b: u8| libm::round(f64::from(a) + (f64::from(b) - f64::from(a)) * share) as u8;
    Colour(mix(under.0, over.0), mix(under.1, over.1), mix(under.2, over.2))
}

/// Black or white, whichever reads better on `ground`.
pub fn text_on(ground: Colour) -> Colour {
    if contrast(INK, ground) >= contrast(PAPER, ground) { INK } else { PAPER }
}

/// The contrast ratio of WCAG 2: 1 (none) to 21 (black on white).
pub fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(c: Colour) -> f64 {
    let linear = |v: u8| {
        let s = f64::from(v) / 255.0;
        if s <= 0.040_45 { s / 12.92 } else { libm::pow((s + 0.055) / 1.055, 2.4) }
    };
    0.2126 * linear(c.0) + 0.7152 * linear(c.1) + 0.0722 * linear(c.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_by_the_book() {
        assert!((contrast(Colour(0, 0, 0), PAPER) - 21.0).abs() < 1e-9);
        // The textbook's grey: #767676 is the lightest that passes on white.
        assert!((contrast(Colour(0x76, 0x76, 0x76), PAPER) - 4.54).abs() < 0.005);
    }

    #[test]
    fn text_is_readable() {
        for c in VARIANTS.into_iter().chain([INK, GREY]) {
            assert!(contrast(c, PAPER) >= 4.5, "{} {}", hex(c), contrast(c, PAPER));
        }
        for ground in VARIANTS.into_iter().chain([FREE, meaning::WASTED, meaning::OTHER, meaning::DOWN]) {
            assert!(contrast(text_on(ground), ground) >= 4.5, "{}", hex(ground));
        }
    }

    #[test]
    fn the_dark_theme_is_readable_too() {
        let dark = |c: Colour| THEME.iter().find(|t| t.1 == c).map_or(c, |t| t.2);
        for c in VARIANTS.into_iter().chain([INK, GREY]) {
            assert!(
                contrast(dark(c), dark(PAPER)) >= 4.5,
                "{} {}",
                hex(dark(c)),
                contrast(dark(c), dark(PAPER))
            );
        }
        // Texts on bars were chosen for the light colours.
        for ground in VARIANTS.into_iter().chain([FREE, meaning::WASTED, meaning::OTHER, meaning::DOWN]) {
            let ratio = contrast(dark(text_on(ground)), dark(ground));
            assert!(ratio >= 4.5, "{} {ratio}", hex(ground));
        }
    }

    #[test]
    fn no_two_colours_of_the_theme_are_the_same() {
        let all = themed_colours();
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| b.0 != a.0), "{}", a.0);
        }
    }

    #[test]
    fn variants_differ_by_hue_or_mark() {
        let looks: Vec<_> = (0..12).map(|i| (hex(variant(i)), marked(i))).collect();
        for (i, a) in looks.iter().enumerate() {
            assert!(!looks[..i].contains(a), "{i}");
        }
    }
}
