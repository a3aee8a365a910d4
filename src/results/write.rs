//! A results folder, whole or not at all.
//!
//! Files are written into a hidden folder beside the target (`.<name>.tmp-<pid>`), synced to disk, and renamed into place
//! in one step. A folder that is already there is replaced only if every file in it is ours. A lock beside it keeps two
//! processes apart; the operating system releases it when its holder dies.

use super::disk::{Disk, Sink};
use super::{SCHEMA_VERSION, TOOL};
use crate::limits::{self, Limit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file that says what a folder is and lists what we wrote into it.
pub const PROVENANCE_FILE: &str = "provenance.json";
/// The summary of a run.
pub const SUMMARY_FILE: &str = "summary.json";
/// The folder of pictures; pictures in it count as ours whoever drew them.
pub const PLOTS_FOLDER: &str = "plots";

/// Why a results folder could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Something stands where the results should go, and it is not ours to replace.
    #[error("{path}: {why}")]
    Refused {
        /// What was asked for.
        path: PathBuf,
        /// What is in the way, and what to do.
        why: String,
    },
    /// The operating system said no.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What we were about to do: `write`, `rename` ...
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The folder is there, but it does not hold what it should.
    #[error("{path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl ResultsError {
    /// The program's exit code: 2 for a file that is not what it should be, 3 for what could not be read or written.
    pub fn exit_code(&self) -> u8 {
        match self {
            ResultsError::Malformed { .. } => 2,
            _ if self.is_bad_input() => 2,
            _ => 3,
        }
    }

    /// A file that should be read is absent, no regular file, too large or no text: the input is to blame, not the system.
    pub fn is_bad_input(&self) -> bool {
        use io::ErrorKind::{
            FileTooLarge, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, UnexpectedEof,
        };
        let ResultsError::Io { action: "read", source, .. } = self else { return false };
        matches!(
            source.kind(),
            NotFound
                | NotADirectory
                | InvalidInput
                | IsADirectory
                | InvalidData
                | FileTooLarge
                | UnexpectedEof
        )
    }

    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> ResultsError {
        let path = path.to_owned();
        move |source| ResultsError::Io { path, action, source }
    }
}

/// Content of [`PROVENANCE_FILE`]: where the results come from. Holds no time of day, so equal runs give equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// [`TOOL`].
    pub tool: String,
    /// `run`, `sweep` or `plan`.
    pub kind: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's digest, as in `summary.json`.
    pub scenario_digest: String,
    /// The scenario's seed.
    pub seed: u64,
    /// The command line that made this, program name first.
    pub command: Vec<String>,
    /// Every file that we wrote, relative to the folder, in bytewise order, this one included.
    pub files: Vec<String>,
}

impl Provenance {
    /// Of a folder of the given kind; `files` is filled when the folder is committed.
    pub fn new(
        kind: &str,
        scenario: &str,
        scenario_digest: &str,
        seed: u64,
        command: Vec<String>,
    ) -> Provenance {
        Provenance {
            schema_version: SCHEMA_VERSION,
            tool: TOOL.to_owned(),
            kind: kind.to_owned(),
            scenario: scenario.to_owned(),
            scenario_digest: scenario_digest.to_owned(),
            seed,
            command,
            files: Vec::new(),
        }
    }
}

/// A results folder in the making. Dropped without [`Staging::commit`], it leaves nothing behind.
pub struct Staging<'d> {
    target: PathBuf,
    staging: PathBuf,
    files: BTreeSet<String>,
    disk: &'d dyn Disk,
    done: bool,
    // Last: the lock goes after the folder has been cleared away.
    _lock: Lock,
}

impl<'d> Staging<'d> {
    /// Takes the lock of `target` and makes the hidden folder beside it.
    ///
    /// # Errors
    /// [`ResultsError::Refused`] if `target` is a file, a symbolic link, or a folder with anything in it that we did not
    /// write, or if another process is writing there; [`ResultsError::Io`] if the parent cannot be made or written.
    pub fn begin(target: &Path, disk: &'d dyn Disk) -> Result<Staging<'d>, ResultsError> {
        let (parent, name) = split(target)?;
        disk.create_dir_all(&parent).map_err(ResultsError::io(&parent, "create the folder"))?;
        let target = parent.join(&name);
        let lock = Lock::take(&target, parent.join(format!(".{name}.lock")))?;
        restore_and_sweep(&parent, &name, &target, disk)?;
        check_is_ours(&target)?;
        let staging = parent.join(format!(".{name}.tmp-{}", std::process::id()));
        unfinished().push(staging.clone());
        disk.create_dir_all(&staging).map_err(ResultsError::io(&staging, "create the folder"))?;
        Ok(Staging { target, staging, files: BTreeSet::new(), disk, done: false, _lock: lock })
    }

    /// Writes one file. `relative` is a path of plain names: no `..`, no root.
    ///
    /// # Errors
    /// [`ResultsError::Io`] if writing or syncing fails, [`ResultsError::Refused`] for a path that leaves the folder.
    pub fn file<F>(&mut self, relative: &str, fill: F) -> Result<(), ResultsError>
    where
        F: FnOnce(&mut dyn Write) -> io::Result<()>,
    {
        let inside = Path::new(relative).components().all(|c| matches!(c, Component::Normal(_)));
        if !inside || relative.is_empty() {
            let why = format!("{relative:?} is not a path inside the folder");
            return Err(ResultsError::Refused { path: self.target.clone(), why });
        }
        let path = self.staging.join(relative);
        if let Some(folder) = path.parent() {
            self.disk.create_dir_all(folder).map_err(ResultsError::io(folder, "create the folder"))?;
        }
        let sink = self.disk.create(&path).map_err(ResultsError::io(&path, "create"))?;
        fill_and_sync(sink, fill).map_err(ResultsError::io(&path, "write"))?;
        self.files.insert(relative.to_owned());
        Ok(())
    }

    /// Writes `bytes` as one file, see [`Staging::file`].
    ///
    /// # Errors
    /// Those of [`Staging::file`].
    pub fn bytes(&mut self, relative: &str, bytes: &[u8]) -> Result<(), ResultsError> {
        self.file(relative, |w| w.write_all(bytes))
    }

    /// Writes `value` as indented JSON with a newline at the end.
    ///
    /// # Errors
    /// Those of [`Staging::file`].
    pub fn json<T: Serialize>(&mut self, relative: &str, value: &T) -> Result<(), ResultsError> {
        self.file(relative, |w| {
            serde_json::to_writer_pretty(&mut *w, value)?;
            w.write_all(b"\n")
        })
    }

    /// Writes the provenance and renames the folder into place, replacing our former one.
    ///
    /// # Errors
    /// [`ResultsError::Io`]; the former folder is then where it was.
    pub fn commit(mut self, mut provenance: Provenance) -> Result<PathBuf, ResultsError> {
        self.files.insert(PROVENANCE_FILE.to_owned());
        provenance.files = self.files.iter().cloned().collect();
        self.json(PROVENANCE_FILE, &provenance)?;
        sync_folders(&self.staging, self.disk)?;
        let old = hidden_beside(&self.target, "old");
        let replaces = self.target.symlink_metadata().is_ok();
        if replaces {
            // Someone may have put a file there while we were computing.
            check_is_ours(&self.target)?;
            self.disk.rename(&self.target, &old).map_err(ResultsError::io(&self.target, "move aside"))?;
        }
        if let Err(e) = self.disk.rename(&self.staging, &self.target) {
            if replaces {
                let _ = fs::rename(&old, &self.target);
            }
            return Err(ResultsError::Io {
                path: self.target.clone(),
                action: "rename into place",
                source: e,
            });
        }
        self.done = true;
        if let Some(parent) = self.target.parent() {
            let _ = self.disk.sync_dir(parent);
        }
        if replaces {
            let _ = self.disk.remove_dir_all(&old);
        }
        Ok(self.target.clone())
    }
}

/// Hidden folders in the making, for [`clear_unfinished`].
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every hidden folder in the making. For a process that is about to exit without unwinding.
pub fn clear_unfinished() {
    for folder in unfinished().drain(..) {
        let _ = fs::remove_dir_all(folder);
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        unfinished().retain(|folder| *folder != self.staging);
        if !self.done {
            let _ = self.disk.remove_dir_all(&self.staging);
        }
    }
}

/// Puts one file into a folder that is there already, or replaces it: whole or not at all, and never through a symbolic link.
///
/// # Errors
/// [`ResultsError::Io`]; a former file is then as it was.
pub fn put_file(path: &Path, bytes: &[u8], disk: &dyn Disk) -> Result<(), ResultsError> {
    let (parent, name) = split(path)?;
    // A rename would put a file in the place of a device or of somebody's FIFO.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        let why = "is no regular file; choose another place with -o, or `-` for standard output".to_owned();
        return Err(ResultsError::Refused { path: path.to_owned(), why });
    }
    disk.create_dir_all(&parent).map_err(ResultsError::io(&parent, "create the folder"))?;
    let hidden = parent.join(format!(".{name}.tmp-{}", std::process::id()));
    remove_leftovers(&parent, &name);
    let written = disk.create(&hidden).and_then(|sink| fill_and_sync(sink, |w| w.write_all(bytes)));
    let placed = written.and_then(|()| disk.rename(&hidden, path));
    placed.map_err(|e| {
        let _ = fs::remove_file(&hidden);
        ResultsError::io(path, "write")(e)
    })
}

/// Removes what [`put_file`] left of this file in processes that were killed: the folder is then as if they had not been.
fn remove_leftovers(parent: &Path, name: &str) {
    let prefix = format!(".{name}.tmp-");
    let alive =
        |process: u32| process != std::process::id() && Path::new(&format!("/proc/{process}")).exists();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let process = found.to_str().and_then(|n| n.strip_prefix(&prefix)).and_then(|rest| rest.parse().ok());
        if process.is_some_and(|process| !alive(process)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn fill_and_sync<F>(sink: Box<dyn Sink>, fill: F) -> io::Result<()>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    let mut buffered = BufWriter::with_capacity(1 << 16, sink);
    fill(&mut buffered)?;
    buffered.flush()?;
    buffered.get_mut().sync()
}

/// A file or folder name made of `name`: letters, digits, `.`, `_` and `-`, at most 80, never hidden, never `..`.
///
/// A name that has to change gets a digest of the original at its end, so that two names stay two.
pub fn safe_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = !name.is_empty()
        && name.len() <= 80
        && name.chars().all(plain)
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && name != PLOTS_FOLDER;
    if good {
        return name.to_owned();
    }
    let mut safe: String = name.chars().map(|c| if plain(c) { c } else { '_' }).take(60).collect();
    while safe.contains("..") {
        safe = safe.replace("..", "_");
    }
    safe = safe.trim_matches(['.', '-', '_']).to_owned();
    if safe.is_empty() {
        safe.push('_');
    }
    let digest = blake3::hash(name.as_bytes()).to_hex();
    format!("{safe}-{}", &digest[..8])
}

/// Parent and name of `target`, without asking the file system.
fn split(target: &Path) -> Result<(PathBuf, String), ResultsError> {
    let refused = |why: &str| ResultsError::Refused { path: target.to_owned(), why: why.to_owned() };
    let name = target.file_name().ok_or_else(|| refused("not the name of a folder to be made"))?;
    let name = name.to_str().ok_or_else(|| refused("the name is not valid UTF-8"))?;
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_owned(), name.to_owned()))
}

/// `.<name>.<what>-<pid>` beside `target`.
fn hidden_beside(target: &Path, what: &str) -> PathBuf {
    let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    target.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
}

/// Undoes what a process left that died while it held the lock: its half-written folder goes; a former folder that it had
/// moved aside but not yet replaced comes back.
fn restore_and_sweep(parent: &Path, name: &str, target: &Path, disk: &dyn Disk) -> Result<(), ResultsError> {
    let entries = fs::read_dir(parent).map_err(ResultsError::io(parent, "list"))?;
    let mut names: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    let left = |what: &str, entry: &str| {
        let pid = entry.strip_prefix(&format!(".{name}.{what}-"));
        pid.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
    };
    for entry in &names {
        let path = parent.join(entry);
        if left("old", entry) && target.symlink_metadata().is_err() {
            disk.rename(&path, target).map_err(ResultsError::io(&path, "restore"))?;
        } else if left("old", entry) || left("tmp", entry) {
            disk.remove_dir_all(&path).map_err(ResultsError::io(&path, "remove"))?;
        }
    }
    Ok(())
}

/// `target` does not exist, is empty, or holds nothing but what we wrote.
fn check_is_ours(target: &Path) -> Result<(), ResultsError> {
    let refused = |why: String| Err(ResultsError::Refused { path: target.to_owned(), why });
    let meta = match target.symlink_metadata() {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(ResultsError::io(target, "look at")(e)),
    };
    if meta.file_type().is_symlink() {
        return refused("is a symbolic link; name the folder itself with -o".into());
    }
    if !meta.is_dir() {
        return refused("is a file, not a results folder; choose another place with -o".into());
    }
    let found = files_below(target)?;
    if found.is_empty() {
        return Ok(());
    }
    let Some(ours) = our_files(target) else {
        let why = "is not a results folder of stowplan and is left alone; choose another place with -o";
        return refused(why.into());
    };
    let foreign = found.iter().find(|file| !ours.contains(*file) && !is_picture_or_report(file));
    match foreign {
        Some(file) => refused(format!(
            "holds {file:?}, which stowplan did not write; move it away, or choose another place with -o"
        )),
        None => Ok(()),
    }
}

/// What `stowplan plot` adds later, and what [`put_file`] leaves there if it is killed.
fn is_picture_or_report(file: &str) -> bool {
    let name = file.strip_prefix(PLOTS_FOLDER).and_then(|rest| rest.strip_prefix('/')).unwrap_or(file);
    let begun = name.starts_with('.') && name.contains(".tmp-");
    let picture = name.len() < file.len() && (name.ends_with(".svg") || name.ends_with(".png"));
    !name.contains('/') && (begun || picture || file == "report.html")
}

/// The files that the provenance in `target` lists; `None` if there is no provenance of ours.
fn our_files(target: &Path) -> Option<BTreeSet<String>> {
    let text = limits::read_text(&target.join(PROVENANCE_FILE), Limit::ResultsBytes).ok()?;
    let provenance: Provenance = serde_json::from_str(&text).ok()?;
    let ours = provenance.tool.starts_with("stowplan ") && provenance.schema_version >= 1;
    ours.then(|| provenance.files.into_iter().collect())
}

/// Every file and symbolic link below `folder`, relative, with `/`, in bytewise order. Links are not followed.
fn files_below(folder: &Path) -> Result<Vec<String>, ResultsError> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = open.pop() {
        for entry in fs::read_dir(&path).map_err(ResultsError::io(&path, "list"))? {
            let entry = entry.map_err(ResultsError::io(&path, "list"))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(ResultsError::io(&path, "list"))?.is_dir() {
                open.push((entry.path(), format!("{name}/")));
            } else {
                files.push(name);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn sync_folders(folder: &Path, disk: &dyn Disk) -> Result<(), ResultsError> {
    let entries = fs::read_dir(folder).map_err(ResultsError::io(folder, "list"))?;
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            sync_folders(&entry.path(), disk)?;
        }
    }
    disk.sync_dir(folder).map_err(ResultsError::io(folder, "sync"))
}

/// An exclusive lock on a file beside the target, removed when dropped.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(target: &Path, path: PathBuf) -> Result<Lock, ResultsError> {
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            let why = "is in the way of the lock: it is no regular file".to_owned();
            return Err(ResultsError::Refused { path, why });
        }
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(ResultsError::io(&path, "create"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let why =
                        "another stowplan is writing there; wait for it, or choose another place with -o";
                    return Err(ResultsError::Refused { path: target.to_owned(), why: why.into() });
                }
                // Some network file systems know no locks; one user at a time is then up to the user.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(ResultsError::io(&path, "lock")(e)),
            }
            // Between opening and locking, the former holder may have removed the file: then ours is nobody's lock.
            if same_file(&file, &path) {
                return Ok(Lock { path, _file: file });
            }
        }
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), path.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
