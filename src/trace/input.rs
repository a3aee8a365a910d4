//! Where the bytes come from: files, standard input or memory, plain, gzip or zstd.

use super::ahead::{BlocksAhead, fill};
use super::error::{SkipReason, TraceError, TraceResult};
use super::table::TraceOptions;
use crate::limits::{self, Limit};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One input of a trace. Compression is recognized by content, never by the name.
#[derive(Clone, Debug)]
pub enum TraceInput {
    /// A file.
    Path(PathBuf),
    /// Standard input; it can be read only once.
    Stdin,
    /// Bytes with a name for messages.
    Bytes(String, Arc<[u8]>),
}

impl TraceInput {
    /// `-` is standard input, everything else a path.
    pub fn from_argument(argument: &str) -> TraceInput {
        if argument == "-" { TraceInput::Stdin } else { TraceInput::Path(PathBuf::from(argument)) }
    }

    /// The name in messages.
    pub fn name(&self) -> String {
        match self {
            TraceInput::Path(path) => path.display().to_string(),
            TraceInput::Stdin => "-".to_owned(),
            TraceInput::Bytes(name, _) => name.clone(),
        }
    }

    /// The last part of the name without `.gz`, `.zst`, for recognizing tables by their file's name.
    pub fn stem(&self) -> String {
        let name = self.name();
        let file = Path::new(&name).file_name().and_then(|f| f.to_str()).unwrap_or(&name);
        let file = file.strip_suffix(".gz").or_else(|| file.strip_suffix(".zst")).unwrap_or(file);
        file.to_owned()
    }

    /// Whether it can be read a second time.
    pub fn is_rereadable(&self) -> bool {
        !matches!(self, TraceInput::Stdin)
    }

    /// Opens the input and decompresses it, in a thread of its own if the options say so.
    ///
    /// # Errors
    /// As [`TraceInput::open`].
    pub fn open_for(&self, options: &TraceOptions) -> TraceResult<Box<dyn Read + Send>> {
        let (unpacked, packed) = self.open_either()?;
        Ok(if packed && options.read_ahead { Box::new(BlocksAhead::new(unpacked)) } else { unpacked })
    }

    /// Opens the input and decompresses it.
    ///
    /// # Errors
    /// [`SkipReason::Unreadable`] if the file cannot be opened or its first bytes cannot be read.
    pub fn open(&self) -> TraceResult<Box<dyn Read + Send>> {
        self.open_either().map(|(unpacked, _)| unpacked)
    }

    /// The content, and whether it is compressed.
    fn open_either(&self) -> TraceResult<(Box<dyn Read + Send>, bool)> {
        let unreadable = |error: io::Error| {
            let reason = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SkipReason::FileMissing,
                io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => SkipReason::NotAFile,
                _ => SkipReason::Unreadable,
            };
            let fault = TraceError::of_file(self.name(), reason, format!("cannot read: {error}"));
            match reason {
                SkipReason::NotAFile => fault.with_hint("`-` reads standard input"),
                _ => fault,
            }
        };
        let mut raw: Box<dyn Read + Send> = match self {
            TraceInput::Path(path) => Box::new(limits::open(path).map_err(unreadable)?),
            TraceInput::Stdin => Box::new(io::stdin()),
            TraceInput::Bytes(_, bytes) => Box::new(io::Cursor::new(Arc::clone(bytes))),
        };
        let mut magic = [0u8; 4];
        let (have, failure) = fill(&mut *raw, &mut magic);
        if let Some(error) = failure {
            return Err(unreadable(error));
        }
        let packed = Arc::new(AtomicU64::new(0));
        let raw = Counted { inner: raw, bytes: Arc::clone(&packed) };
        let whole = io::Cursor::new(magic).take(have as u64).chain(raw);
        Ok(match &magic[..have] {
            [0x1f, 0x8b, ..] => {
                let buffered = io::BufReader::with_capacity(128 << 10, whole);
                (Bounded::new(flate2::bufread::MultiGzDecoder::new(buffered), packed), true)
            }
            [0x28, 0xb5, 0x2f, 0xfd] => {
                (Bounded::new(zstd::Decoder::new(whole).map_err(unreadable)?, packed), true)
            }
            _ => (Box::new(whole), false),
        })
    }
}

/// Counts the bytes that go through.
struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Unpacked bytes that may come of nothing.
const FREE_BYTES: u64 = 1 << 30;

/// Ends with an error when far more comes out of a decompressor than real traces hold: a bomb.
struct Bounded<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    unpacked: u64,
}

impl<R: Read + Send + 'static> Bounded<R> {
    #[allow(clippy::new_ret_no_self, reason = "it is only used behind a pointer")]
    fn new(inner: R, packed: Arc<AtomicU64>) -> Box<dyn Read + Send> {
        Box::new(Bounded { inner, packed, unpacked: 0 })
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        let ratio = Limit::TraceRatio.get();
        let most = FREE_BYTES.saturating_add(self.packed.load(Ordering::Relaxed).saturating_mul(ratio));
        if self.unpacked > most {
            let why = format!("it expands to more than {ratio} times its size; {}", Limit::TraceRatio.hint());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        let input = TraceInput::Bytes("memory".into(), bytes.into());
        input.open().map_err(io::Error::other)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn recognizes_compression_by_content() {
        let zst = zstd::encode_all(&b"hello"[..], 1).expect("memory");
        let two_members = [gzip("hel"), gzip("lo")].concat();
        for bytes in [b"hello".to_vec(), gzip("hello"), two_members, zst] {
            assert_eq!(read(&bytes).expect("readable"), "hello");
        }
        for short in ["", "a", "abc"] {
            assert_eq!(read(short.as_bytes()).expect("readable"), short);
        }
    }

    #[test]
    fn truncated_gzip_is_an_error_and_no_short_file() {
        let whole = gzip(&"0123456789".repeat(1000));
        let error = read(&whole[..whole.len() - 9]).expect_err("truncated");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn missing_files_and_folders_are_named() {
        let error = TraceInput::from_argument("no/such/file.csv").open().err().expect("missing");
        assert_eq!((error.reason, error.file.as_str()), (SkipReason::FileMissing, "no/such/file.csv"));
        assert!(TraceInput::from_argument("/").open().is_err());
    }

    #[test]
    fn stems_drop_folders_and_compression() {
        for (name, stem) in [
            ("a/b/vmtable.csv.gz", "vmtable.csv"),
            ("pods.csv.zst", "pods.csv"),
            ("x.sktrace", "x.sktrace"),
            ("-", "-"),
        ] {
            let input = TraceInput::from_argument(name);
            assert_eq!(input.stem(), stem);
        }
    }
}
