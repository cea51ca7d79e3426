//! Bringing the index up to what the transcripts are now.
//!
//! Each folder is listed and each file in it looked at (`stat`); only those that are others than the index knows are
//! opened, and of these the beginning and the end are read. What was read is committed in batches: whenever the
//! daemon dies, the next refresh goes on from there.

use std::collections::HashSet;

use crate::claude::transcripts::{Entry, Transcripts};
use crate::store::{SessionIndex, Stamp, StoreError, TranscriptRow};

/// How many transcripts are committed at once.
const BATCH: usize = 256;

/// What a refresh did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Transcripts that are there.
    pub seen: u64,
    /// Those of them that were opened and read.
    pub read: u64,
    /// How many bytes of them.
    pub bytes: u64,
    /// Those that the index knew and that are no longer there.
    pub gone: u64,
}

/// Takes what is new or changed into the index, and what is gone out of it. One folder at a time is in memory.
pub fn refresh(transcripts: &Transcripts, index: &mut SessionIndex) -> Result<Refreshed, StoreError> {
    let mut done = Refreshed::default();
    let mut folders = HashSet::new();
    for folder in transcripts.folders() {
        // Claude Code makes these names of ASCII alone.
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
        let mut known = index.stamps(name)?;
        let mut batch = Vec::new();
        for entry in transcripts.entries(&folder) {
            done.seen += 1;
            if known.remove(entry.session.as_str()) == Some(stamp(&entry)) {
                continue;
            }
            // One that cannot be read now is looked at again the next time.
            let Some((row, bytes)) = read(entry) else { continue };
            done.read += 1;
            done.bytes += bytes;
            batch.push(row);
            if batch.len() == BATCH {
                index.keep(name, &batch, &[])?;
                batch.clear();
            }
        }
        let gone: Vec<_> = known.into_keys().collect();
        done.gone += gone.len() as u64;
        if !(batch.is_empty() && gone.is_empty()) {
            index.keep(name, &batch, &gone)?;
        }
        folders.insert(name.to_owned());
    }
    for folder in index.folders()?.iter().filter(|folder| !folders.contains(*folder)) {
        done.gone += index.forget(folder)? as u64;
    }
    Ok(done)
}

fn read(entry: Entry) -> Option<(TranscriptRow, u64)> {
    let (digest, bytes) = entry.digest().ok()?;
    let row = TranscriptRow {
        stamp: stamp(&entry),
        session: entry.session,
        listed: digest.is_session(),
        title: digest.title(),
        prompt: digest.first_prompt,
        cwd: digest.cwd,
        branch: digest.branch,
    };
    Some((row, bytes))
}

/// Taken before the file is read: what is written meanwhile makes it another the next time.
fn stamp(entry: &Entry) -> Stamp {
    Stamp { modified: entry.modified_nanos(), size: entry.size, inode: entry.inode }
}
