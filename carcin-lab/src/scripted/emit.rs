//! Printing what no Claude should print, and how long that takes.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::write;
use serde_json::json;

use super::session::{Halt, Session};
use crate::script::Emission;

/// One `write(2)`, in bytes.
const CHUNK: usize = 64 << 10;
/// The file to compare with begins anew when it is so long, in bytes: what matters is the time, not the disk.
const LONGEST: u64 = 64 << 20;

/// What the writes of one kind took.
#[derive(Debug, Default)]
struct Taken {
    all: Duration,
    longest: Duration,
}

impl Taken {
    fn add(&mut self, since: Instant) {
        let took = since.elapsed();
        self.all += took;
        self.longest = self.longest.max(took);
    }
}

/// Where [`Session::emission`] notes what each emission took, a line of JSON each.
pub(super) fn notes_path(home: &std::path::Path) -> PathBuf {
    home.join(".carcin-lab/emitted.ndjson")
}

impl Session {
    /// Prints the bytes, each chunk also into a plain file, to tell whether printing is slower than that. Then waits
    /// for the answer, if one is asked for.
    pub(super) async fn emission(&mut self, emission: &Emission) -> Result<(), Halt> {
        if let Some(id) = &emission.answer {
            self.open_requests.push(json!({"request_id": id}));
        }
        if let Err(error) = self.print(emission) {
            eprintln!("cannot emit: {error}");
            return Err(Halt::Exit(1));
        }
        if let Some(id) = &emission.answer {
            while !self.answers.contains_key(id) {
                self.take_next().await?;
            }
        }
        Ok(())
    }

    fn print(&self, emission: &Emission) -> std::io::Result<()> {
        let notes = notes_path(&self.home);
        std::fs::create_dir_all(notes.parent().unwrap_or(&self.home))?;
        let mut plain = Plain::create()?;
        let mut taken = Taken::default();
        let mut bytes = 0;
        for part in &emission.parts {
            let (unit, times) = part.bytes();
            let mut left = times;
            // Whole units in each chunk, so that a chunk is made once.
            let in_chunk = (CHUNK / unit.len().max(1)).max(1) as u64;
            let chunk = unit.repeat(usize::try_from(in_chunk.min(times)).unwrap_or(1));
            while left > 0 {
                let now = &chunk[..unit.len() * usize::try_from(left.min(in_chunk)).unwrap_or(1)];
                for piece in now.chunks(CHUNK) {
                    let since = Instant::now();
                    if emission.stderr {
                        write_all(std::io::stderr(), piece)?;
                    } else {
                        write_all(std::io::stdout(), piece)?;
                    }
                    taken.add(since);
                    plain.add(piece)?;
                    bytes += piece.len();
                }
                left -= left.min(in_chunk);
            }
        }
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let note = json!({"bytes": bytes, "micros": micros(taken.all), "longest_micros": micros(taken.longest),
            "plain_micros": micros(plain.taken.all), "plain_longest_micros": micros(plain.taken.longest)});
        writeln!(OpenOptions::new().append(true).create(true).open(notes)?, "{note}")
    }
}

/// A file that nobody reads.
struct Plain {
    file: File,
    path: PathBuf,
    length: u64,
    taken: Taken,
}

impl Plain {
    fn create() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("plain-{}", uuid::Uuid::new_v4()));
        Ok(Self { file: File::create(&path)?, path, length: 0, taken: Taken::default() })
    }

    fn add(&mut self, piece: &[u8]) -> std::io::Result<()> {
        if self.length >= LONGEST {
            self.file = File::create(&self.path)?;
            self.length = 0;
        }
        let since = Instant::now();
        write_all(&self.file, piece)?;
        self.taken.add(since);
        self.length += piece.len() as u64;
        Ok(())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// With no buffer in between: the time of the system call is what is measured.
fn write_all(to: impl AsFd, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match write(to.as_fd(), bytes) {
            Err(nix::errno::Errno::EINTR) => {}
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
