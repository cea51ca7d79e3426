//! Reading a spool, line by line, as it grows.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::lines::{HOLD, LINE_CAP, Line, Splitter, Text};
use super::spool::Spool;
use super::wake::Wake;

/// One read, in bytes, and so the most that a batch takes on top of one line.
const CHUNK: usize = 128 << 10;

/// Of all tails of this process, one at a time gives a line that is too long to be gathered: what it takes to deal
/// with one is bounded, whatever comes at once.
static LONG: Semaphore = Semaphore::const_new(1);

/// How to learn of new output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// By inotify; by polling where that is not to be had.
    Inotify,
    /// By polling.
    Poll,
}

/// Some lines, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The lines; may be empty when `caught_up`.
    pub lines: Vec<Line>,
    /// Whether the end of the file was reached. Told once for each time that there was something to read, and
    /// once at the start.
    pub caught_up: bool,
}

impl Batch {
    /// The lines that are whole.
    pub fn whole(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter_map(|line| match &line.text {
            Text::Whole(bytes) => Some(bytes.as_ref()),
            Text::Oversized { .. } | Text::Fragment(_) => None,
        })
    }
}

/// Why a spool cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The file system refused.
    #[error("cannot read the spool {path}")]
    Io {
        /// The spool.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is shorter than what was read of it before.
    #[error("the spool {path} is {length} bytes long, shorter than the {offset} that were read of it")]
    Truncated {
        /// The spool.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// Where to read on.
        offset: u64,
    },
}

/// A reader of one spool.
///
/// It reads from the page cache, on the caller's thread: what is not there any more (after a long absence)
/// is a sequential read of a local file.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    spool: Spool,
    wake: Wake,
    splitter: Splitter,
    /// Up to where the file was read, the open line included.
    read: u64,
    chunk: Vec<u8>,
    /// Read, and not given yet.
    ready: Option<Batch>,
    /// Held from the moment that a long line is read until the next one is asked for.
    permit: Option<SemaphorePermit<'static>>,
    /// Whether the present end of the file was told as `caught_up`.
    told: bool,
    /// Whether the end of the file was reached, and nothing is known to have come since.
    dry: bool,
    writer: Writer,
}

/// How far the writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It may write more.
    Alive,
    /// It has ended; the rest is to be read.
    Ended,
    /// It has ended, and all is read.
    Read,
}

impl Tail {
    /// Reads the spool at `path` from `offset`, a line's start.
    pub fn open(path: &Path, offset: u64, notice: Notice) -> Result<Self, TailError> {
        let at = |source| TailError::Io { path: path.to_owned(), source };
        let spool = Spool::open(path).map_err(at)?;
        let length = spool.file().metadata().map_err(at)?.len();
        if length < offset {
            return Err(TailError::Truncated { path: path.to_owned(), length, offset });
        }
        Ok(Self {
            path: path.to_owned(),
            spool,
            wake: Wake::on(path, notice),
            splitter: Splitter::new(offset, HOLD),
            read: offset,
            chunk: vec![0; CHUNK],
            ready: None,
            permit: None,
            told: false,
            dry: false,
            writer: Writer::Alive,
        })
    }

    /// The next lines; waits for them. `None` after the last ones of a writer that has ended. Cancel safe.
    ///
    /// Asking for more tells that what was given before is dealt with. As long as that has a line of more than 1 MiB
    /// no other tail gives one.
    pub async fn next(&mut self) -> Result<Option<Batch>, TailError> {
        self.permit = None;
        loop {
            if self.ready.as_ref().is_some_and(|batch| batch.lines.iter().any(is_long)) {
                self.permit = LONG.acquire().await.ok();
            }
            if let Some(mut batch) = self.ready.take() {
                for line in batch.lines.iter_mut().filter(|line| is_long(line)) {
                    self.fetch(line).map_err(|source| self.error(source))?;
                }
                return Ok(Some(batch));
            }
            if self.writer == Writer::Read {
                return Ok(None);
            }
            if self.dry && self.writer == Writer::Alive {
                self.wake.changed().await.map_err(|source| self.error(source))?;
            }
            // Lets others run when there is always more to read.
            tokio::task::coop::consume_budget().await;
            let (lines, at_end) = self.read_chunk().map_err(|source| self.error(source))?;
            // What is written from here on will wake.
            self.dry = at_end;
            if at_end && self.writer == Writer::Ended {
                self.ready = Some(self.last(lines));
                continue;
            }
            let caught_up = at_end && !(self.told && lines.is_empty());
            if !lines.is_empty() || caught_up {
                self.told = caught_up;
                self.ready = Some(Batch { lines, caught_up });
            }
        }
    }

    /// Tells that the writer has ended: the rest is read, an unterminated last line is given as a fragment, and
    /// then there is no more.
    pub fn writer_ended(&mut self) {
        if self.writer == Writer::Alive {
            self.writer = Writer::Ended;
        }
    }

    /// Tells that everything before `offset` is dealt with, for good: not even a power loss will ask for it
    /// again. Its space is given back, in steps of 4 MiB.
    pub fn committed(&mut self, offset: u64) {
        self.spool.release(offset.min(self.read));
    }

    /// Reads once: the lines that this completed, and whether that was the end of the file.
    fn read_chunk(&mut self) -> io::Result<(Vec<Line>, bool)> {
        let count = loop {
            match self.spool.file().read_at(&mut self.chunk, self.read) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if count > 0 {
            self.read += count as u64;
            self.wake.found();
        }
        let at_end = count < self.chunk.len();
        if self.writer == Writer::Alive {
            let written = if at_end { self.read } else { self.spool.file().metadata()?.len() };
            // What is reserved already lasts until the daemon has stopped what runs.
            let _ = self.spool.keep_ahead_of(written);
        }
        Ok((self.splitter.push(&Bytes::copy_from_slice(&self.chunk[..count])), at_end))
    }

    /// Reads a long line as a whole. It is not committed, and so it is still there.
    fn fetch(&self, line: &mut Line) -> io::Result<()> {
        let Text::Oversized { size, .. } = line.text else { return Ok(()) };
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.spool.file().read_exact_at(&mut bytes, line.start)?;
        let terminated = line.end > line.start + size;
        line.text =
            if terminated { Text::Whole(Bytes::from(bytes)) } else { Text::Fragment(Bytes::from(bytes)) };
        Ok(())
    }

    fn last(&mut self, mut lines: Vec<Line>) -> Batch {
        self.writer = Writer::Read;
        lines.extend(self.splitter.finish());
        Batch { lines, caught_up: true }
    }

    fn error(&self, source: io::Error) -> TailError {
        TailError::Io { path: self.path.clone(), source }
    }
}

/// Whether it was too long to be gathered, and is short enough to be read.
fn is_long(line: &Line) -> bool {
    matches!(line.text, Text::Oversized { size, .. } if size <= LINE_CAP as u64)
}
