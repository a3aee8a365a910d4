//! PNG from our own SVG, with the embedded font: the same picture on every machine.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};
use std::sync::{Arc, OnceLock};

const REGULAR: &[u8] = include_bytes!("font/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("font/DejaVuSans-Bold.ttf");

/// A picture could not be rasterized.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// Not an SVG that we understand.
    #[error("not a readable SVG: {0}")]
    Svg(String),
    /// Too large for memory, or not writable as PNG.
    #[error("cannot rasterize: {0}")]
    Raster(String),
}

/// Reads an SVG with the embedded font only; the machine's own fonts are not looked at.
///
/// # Errors
/// [`PngError::Svg`] if the text is no SVG.
pub fn tree(svg: &str) -> Result<Tree, PngError> {
    let options = Options { font_family: "DejaVu Sans".into(), fontdb: fonts(), ..Options::default() };
    Tree::from_str(svg, &options).map_err(|e| PngError::Svg(e.to_string()))
}

/// The embedded fonts, read once.
fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let read = || {
        let mut fonts = Database::new();
        fonts.load_font_data(REGULAR.to_vec());
        fonts.load_font_data(BOLD.to_vec());
        Arc::new(fonts)
    };
    FONTS.get_or_init(read).clone()
}

/// Rasterizes an SVG at `scale` pixels per pixel of its own size; 2 is sharp on most screens.
///
/// # Errors
/// [`PngError`] if the text is no SVG, or the picture is larger than 16,384 pixels in a direction.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, PngError> {
    const MOST: f32 = 16_384.0;
    let tree = tree(svg)?;
    let size = tree.size();
    let (width, height) = (libm::ceilf(size.width() * scale), libm::ceilf(size.height() * scale));
    if !(1.0..=MOST).contains(&width) || !(1.0..=MOST).contains(&height) {
        return Err(PngError::Raster(format!("{width} x {height} pixels; at most {MOST} in each direction")));
    }
    let mut pixels = Pixmap::new(width as u32, height as u32)
        .ok_or_else(|| PngError::Raster("no memory for the pixels".into()))?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| PngError::Raster(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_becomes_pixels() {
        let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"><rect width="4" height="3" fill="#f00"/></svg>"##;
        let bytes = png(svg, 2.0).expect("rasterizes");
        let pixels = Pixmap::decode_png(&bytes).expect("is a PNG");
        assert_eq!((pixels.width(), pixels.height()), (8, 6));
        assert!(pixels.pixels().iter().all(|p| (p.red(), p.green(), p.alpha()) == (255, 0, 255)));
    }

    #[test]
    fn text_is_drawn_with_the_embedded_font() {
        let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><text y="15" font-family="Nowhere, DejaVu Sans">ab</text></svg>"##;
        let pixels = Pixmap::decode_png(&png(svg, 1.0).expect("rasterizes")).expect("is a PNG");
        assert!(pixels.pixels().iter().any(|p| p.alpha() > 128));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(matches!(png("<html/>", 1.0), Err(PngError::Svg(_))));
        let huge = r#"<svg xmlns="http://www.w3.org/2000/svg" width="99999" height="1"/>"#;
        assert!(matches!(png(huge, 1.0), Err(PngError::Raster(_))));
    }
}
