//! Opening the journal, in whatever state it is.
//!
//! A damaged journal ends no conversation: it is put aside under another name, whole, and a new one is begun with what
//! can be read of it ([`salvage`]). The new one has an id of its own, so whoever followed the old one is told.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use carcin_proto::Millis;
use tokio::sync::watch;

use super::origin::{self, Origin};
use super::schema::{FILES, with};
use super::writer::Writer;
use super::{StoreError, salvage, wal};
use crate::rows::Loaded;

type Trouble = watch::Sender<Option<StoreError>>;

/// Opens the journal at `path`, or begins it.
pub(super) fn open(
    path: &Path,
    boot: &str,
    keep: u64,
    ring: usize,
    trouble: &Trouble,
) -> Result<(Writer, Vec<Loaded>, Origin), StoreError> {
    let open = || Writer::open(path, boot, keep, ring, trouble.clone());
    finish_replacing(path)?;
    if !path.exists() {
        // What is left of one that somebody removed.
        for end in [".damaged", "-wal", "-shm"] {
            remove(path, end)?;
        }
        origin::note(path, &Origin::New)?;
        return accept(path, open()?);
    }
    let why = match damage(path, boot) {
        Some(why) => why,
        None => match open() {
            Ok(opened) => return accept(path, opened),
            Err(StoreError::Damaged { message, .. }) => message,
            Err(error @ StoreError::Row(_)) => error.to_string(),
            Err(error) => return Err(error),
        },
    };
    tracing::error!(path = %path.display(), why, "the journal is damaged; what can be read of it is saved");
    replace(path, why)?;
    accept(path, open()?)
}

/// The journal, with what is known of its origin. Where it was begun anew from a damaged one, by this start or by one
/// that did not get this far, its conversations are told.
fn accept(
    path: &Path,
    (mut writer, mut loaded): (Writer, Vec<Loaded>),
) -> Result<(Writer, Vec<Loaded>, Origin), StoreError> {
    let origin = origin::find(path)?;
    if let Origin::Damaged { kept, .. } = &origin
        && writer.is_blank()
    {
        let name = kept.file_name().unwrap_or_default().to_string_lossy();
        let now = Millis::now();
        let notes: Vec<_> = loaded.iter_mut().map(|loaded| salvage::note(loaded, now, &name)).collect();
        // All or none: a journal with events in it has them all.
        writer.commit_all(&notes.iter().collect::<Vec<_>>())?;
        tracing::warn!(kept = %kept.display(), conversations = loaded.len(), "the journal is begun anew");
    }
    Ok((writer, loaded, origin))
}

/// Notes that a commit was taken.
pub(super) fn note_success(trouble: &Trouble) {
    trouble.send_if_modified(|trouble| match trouble {
        // Whatever can still be written to a damaged file, it has to be mended.
        None | Some(StoreError::Damaged { .. }) => false,
        Some(_) => {
            *trouble = None;
            true
        }
    });
}

/// Notes that a commit was not taken.
pub(super) fn note_failure(trouble: &Trouble, error: &StoreError) {
    note_damage(trouble, error);
    trouble.send_if_modified(|trouble| {
        let known = trouble.as_ref().is_some_and(|known| known.to_string() == error.to_string());
        if known || matches!(trouble, Some(StoreError::Damaged { .. })) {
            return false;
        }
        tracing::error!(%error, "the journal does not take a commit");
        *trouble = Some(error.clone());
        true
    });
}

/// Notes that the journal is damaged, also for the next start: it need not come across the bad place by itself.
pub(super) fn note_damage(trouble: &Trouble, error: &StoreError) {
    let StoreError::Damaged { path, .. } = error else { return };
    if let Err(error) = File::create(mark(path)) {
        tracing::error!(%error, "the next start cannot be told that the journal is damaged");
    }
    trouble.send_replace(Some(error.clone()));
}

/// What is the matter with the file that SQLite would not say by itself, or too late.
fn damage(path: &Path, boot: &str) -> Option<String> {
    if mark(path).exists() {
        return Some("it was found damaged when it was used last".to_owned());
    }
    let length = fs::metadata(path).ok()?.len();
    if length == 0 {
        return Some("it is empty".to_owned());
    }
    let log = with(path, "-wal");
    if fs::metadata(&log).map_or(0, |metadata| metadata.len()) == 0 {
        let claimed = claimed_length(path)?;
        return (claimed > length).then(|| format!("it has {length} bytes of {claimed}"));
    }
    // After a power cut a log may look like anything, and SQLite knows how to take it.
    let same_boot = || salvage::boot(path).as_deref() == Some(boot);
    (wal::is_damaged(&log, &with(path, "-shm")) && same_boot()).then(|| "its log was overwritten".to_owned())
}

/// The length that the file's own header tells, where that is to be trusted (section 1.3.7 of SQLite's file format).
fn claimed_length(path: &Path) -> Option<u64> {
    let mut header = [0; 100];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 1 << 16,
        size => u64::from(size),
    };
    let valid = header.starts_with(b"SQLite format 3\0") && word(24) == word(92);
    valid.then(|| u64::from(word(28)) * page)
}

/// Builds a new journal beside the damaged one, then puts it into its place.
fn replace(path: &Path, why: String) -> Result<(), StoreError> {
    // Should this be cut off, the next start does it again.
    File::create(mark(path)).map_err(|error| failed(path, &error))?;
    salvage::rebuild(path, &with(path, ".new"))?;
    let seconds = Millis::now().0 / 1000;
    let mut kept = with(path, &format!(".corrupt-{seconds}"));
    while kept.exists() {
        kept = with(&kept, "-");
    }
    // Before it is there: whoever finds it is to know what it is.
    origin::note(path, &Origin::Damaged { kept: kept.clone(), why })?;
    for part in FILES {
        let (from, to) = (with(path, part), with(&kept, part));
        if from.exists() {
            fs::rename(&from, &to).map_err(|error| failed(path, &error))?;
        }
    }
    finish_replacing(path)
}

/// Puts the new journal into its place, also where that was cut off. It is complete once the old one is out of it.
fn finish_replacing(path: &Path) -> Result<(), StoreError> {
    let fresh = with(path, ".new");
    if !path.exists() && fresh.exists() {
        // The old one's log, or SQLite would take it for the new one's.
        if with(path, "-wal").exists() {
            fs::rename(with(path, "-wal"), with(path, ".corrupt-wal"))
                .map_err(|error| failed(path, &error))?;
        }
        remove(path, "-shm")?;
        remove(path, ".damaged")?;
        return fs::rename(&fresh, path).map_err(|error| failed(path, &error));
    }
    remove(path, ".new")
}

pub(super) fn remove(path: &Path, end: &str) -> Result<(), StoreError> {
    match fs::remove_file(with(path, end)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(path, &error)),
        _ => Ok(()),
    }
}

pub(super) fn failed(path: &Path, error: &std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return StoreError::Full { path: path.to_owned() };
    }
    StoreError::Sqlite {
        path: path.to_owned(),
        message: format!("its files cannot be put into place: {error}"),
    }
}

/// The file that says that the journal is damaged.
fn mark(path: &Path) -> PathBuf {
    with(path, ".damaged")
}
