//! A sheet to draw on: plotters' SVG backend with sizes in half pixels, so that lines are smooth, and one font.

use super::hover::{HoverPanel, Picture};
use super::measure;
use crate::report::palette::{Colour, INK, PAPER};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The embedded font first; Verdana and Geneva have the same widths where it is missing.
pub const FONTS: &str = "DejaVu Sans, Verdana, Geneva, sans-serif";
/// Units of the sheet per pixel on screen.
pub const UNITS_PER_PIXEL: u32 = 2;

/// Size of titles in units.
pub const TITLE: f64 = 36.0;
/// Size of panel headings and notes.
pub const HEADING: f64 = 26.0;
/// Size of labels on axes and lines.
pub const LABEL: f64 = 22.0;

/// A picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw: {0}")]
pub struct PlotError(String);

/// Where a text hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins at the point.
    Start,
    /// Its middle is at the point.
    Middle,
    /// It ends at the point.
    End,
}

/// A rectangle in units: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Bottom edge.
    pub bottom: f64,
}

impl Frame {
    /// Width in units.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }
    /// Height in units.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// Font size in units.
    pub size: f64,
    /// Bold.
    pub bold: bool,
    /// Colour.
    pub colour: Colour,
}

impl Type {
    /// A plain text.
    pub fn plain(size: f64, colour: Colour) -> Type {
        Type { size, bold: false, colour }
    }
    /// A bold text.
    pub fn bold(size: f64, colour: Colour) -> Type {
        Type { size, bold: true, colour }
    }
}

/// The sheet. The first error is kept and returned by [`draw`], so that drawing reads without `?`.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    error: Option<String>,
    /// The values behind what was drawn.
    pub panels: Vec<HoverPanel>,
}

/// Draws a picture of `width` x `height` units; `title` and `description` are for readers that do not see it.
///
/// # Errors
/// [`PlotError`] if the backend fails, which a drawing into memory does not.
pub fn draw<F: FnOnce(&mut Canvas<'_>)>(
    (width, height): (u32, u32),
    title: &str,
    description: &str,
    fill: F,
) -> Result<Picture, PlotError> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
    let mut canvas = Canvas { area, error: None, panels: Vec::new() };
    canvas.rect(Frame { left: 0.0, top: 0.0, right: width.into(), bottom: height.into() }, PAPER);
    fill(&mut canvas);
    let presented = canvas.area.present().map_err(|e| PlotError(e.to_string()));
    let error = canvas.error.take();
    let panels = std::mem::take(&mut canvas.panels);
    drop(canvas);
    presented?;
    match error {
        Some(why) => Err(PlotError(why)),
        None => Ok(Picture { svg: finished(&svg, width, height, title, description), panels }),
    }
}

/// Plotters' header becomes one that says what the picture shows; attributes that are the default go.
fn finished(svg: &str, width: u32, height: u32, title: &str, description: &str) -> String {
    let body = svg.split_once(">\n").map_or(svg, |(_, body)| body);
    // Quotes in texts are escaped, so these can only be attributes.
    let body = body.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{}\" height=\"{}\" \
         role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n{body}",
        width / UNITS_PER_PIXEL,
        height / UNITS_PER_PIXEL,
        escaped(title),
        escaped(description),
    )
}

/// Text for XML and HTML, in elements and in quoted attributes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // XML knows no other control characters, not even escaped.
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn rgb(c: Colour) -> RGBColor {
    RGBColor(c.0, c.1, c.2)
}

fn at(x: f64, y: f64) -> (i32, i32) {
    (libm::round(x) as i32, libm::round(y) as i32)
}

impl Canvas<'_> {
    fn keep<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let (Err(e), None) = (result, &self.error) {
            self.error = Some(e.to_string());
        }
    }

    /// One line of text; `y` is its middle.
    pub fn text(&mut self, text: &str, (x, y): (f64, f64), anchor: Anchor, look: Type) {
        self.turned_text(text, (x, y), anchor, look, FontTransform::None);
    }

    /// One line of text that reads upwards; `x` is its middle.
    pub fn text_upwards(&mut self, text: &str, (x, y): (f64, f64), anchor: Anchor, look: Type) {
        self.turned_text(text, (x, y), anchor, look, FontTransform::Rotate270);
    }

    fn turned_text(
        &mut self,
        text: &str,
        (x, y): (f64, f64),
        anchor: Anchor,
        look: Type,
        turn: FontTransform,
    ) {
        let clean = crate::report::human::one_line(text);
        if clean.is_empty() {
            return;
        }
        let style = if look.bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend divides the size by 1.24.
        let font = FontDesc::new(FontFamily::Name(FONTS), look.size * 1.24, style).transform(turn);
        let h = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let colour = rgb(look.colour);
        let style = TextStyle::from(font).color(&colour).pos(Pos::new(h, VPos::Center));
        let drawn = self.area.draw_text(&clean, &style, at(x, y));
        self.keep(drawn);
    }

    /// A filled rectangle; nothing if it is thinner than half a unit.
    pub fn rect(&mut self, frame: Frame, colour: Colour) {
        let (from, to) = (at(frame.left, frame.top), at(frame.right, frame.bottom));
        if to.0 > from.0 && to.1 > from.1 {
            let drawn = self.area.draw(&Rectangle::new([from, to], rgb(colour).filled()));
            self.keep(drawn);
        }
    }

    /// A line through points, `width` units thick.
    pub fn line(&mut self, points: &[(f64, f64)], colour: Colour, width: u32) {
        let mut path: Vec<(i32, i32)> = points.iter().map(|&(x, y)| at(x, y)).collect();
        path.dedup();
        if path.len() < 2 {
            return;
        }
        let drawn = self.area.draw(&PathElement::new(straightened(&path), rgb(colour).stroke_width(width)));
        self.keep(drawn);
    }

    /// A filled shape.
    pub fn area(&mut self, points: &[(f64, f64)], colour: Colour) {
        let mut path: Vec<(i32, i32)> = points.iter().map(|&(x, y)| at(x, y)).collect();
        path.dedup();
        if path.len() < 3 {
            return;
        }
        let drawn = self.area.draw(&Polygon::new(straightened(&path), rgb(colour).filled()));
        self.keep(drawn);
    }

    /// A filled circle.
    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, colour: Colour) {
        let drawn = self.area.draw(&Circle::new(at(x, y), libm::round(radius) as i32, rgb(colour).filled()));
        self.keep(drawn);
    }

    /// The title in at most two lines, at the top left; returns where the picture may begin.
    pub fn title(&mut self, title: &str, note: &str, width: f64) -> f64 {
        let mut y = 40.0;
        for line in measure::broken(title, TITLE, true, width - 2.0 * MARGIN, 2) {
            self.text(&line, (MARGIN, y), Anchor::Start, Type::bold(TITLE, INK));
            y += TITLE * 1.25;
        }
        y += 2.0;
        for line in measure::broken(note, LABEL + 1.0, false, width - 2.0 * MARGIN, 2) {
            self.text(
                &line,
                (MARGIN, y),
                Anchor::Start,
                Type::plain(LABEL + 1.0, crate::report::palette::GREY),
            );
            y += (LABEL + 1.0) * 1.35;
        }
        y + 4.0
    }
}

/// Space around everything.
pub const MARGIN: f64 = 28.0;

/// How many units [`Canvas::title`] takes.
pub fn title_height(title: &str, note: &str, width: f64) -> f64 {
    let titles = measure::broken(title, TITLE, true, width - 2.0 * MARGIN, 2).len() as f64;
    let notes = measure::broken(note, LABEL + 1.0, false, width - 2.0 * MARGIN, 2).len() as f64;
    40.0 + titles * TITLE * 1.25 + 2.0 + notes * (LABEL + 1.0) * 1.35 + 4.0
}

/// Without the points that lie on a horizontal or vertical line between their neighbours.
fn straightened(path: &[(i32, i32)]) -> Vec<(i32, i32)> {
    let mut kept: Vec<(i32, i32)> = Vec::with_capacity(path.len());
    for &p in path {
        if let [.., a, b] = kept[..] {
            let between = |a: i32, b: i32, c: i32| a.min(c) <= b && b <= a.max(c);
            let flat = a.1 == b.1 && b.1 == p.1 && between(a.0, b.0, p.0);
            let upright = a.0 == b.0 && b.0 == p.0 && between(a.1, b.1, p.1);
            if flat || upright {
                kept.pop();
            }
        }
        kept.push(p);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straight_runs_lose_their_middle() {
        let path = [(0, 0), (1, 0), (2, 0), (2, 5), (2, 3), (2, 9), (3, 10)];
        assert_eq!(straightened(&path), [(0, 0), (2, 0), (2, 5), (2, 3), (2, 9), (3, 10)][..]);
    }

    #[test]
    fn hostile_text_is_text() {
        let evil = "</text><script>alert(\"1\" & '2')</script>\u{1}";
        let svg = draw((200, 100), evil, evil, |c| {
            c.text(evil, (10.0, 50.0), Anchor::Start, Type::plain(20.0, INK));
        })
        .expect("draws")
        .svg;
        assert!(!svg.contains("<script") && !svg.contains('\u{1}'), "{svg}");
        assert!(svg.contains("&lt;script&gt;"), "{svg}");
    }
}
