//! What both ends send before any frame: a magic and a version, fixed for all time.
//!
//! 8 bytes `CARCIN\r\n`, then the protocol's major and minor version as little-endian `u16`. The majors must be
//! equal; a higher minor only adds kinds and variants.

use std::cmp::Ordering;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a connection begins with. The line break shows a transport that meddles with line ends.
pub const MAGIC: [u8; 8] = *b"CARCIN\r\n";
/// The protocol that this crate speaks.
pub const VERSION: Version = Version { major: 1, minor: 0 };
/// The preamble's size in bytes.
pub const LEN: usize = 12;

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Unequal majors do not understand each other.
    pub major: u16,
    /// Counts additions.
    pub minor: u16,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why two ends do not come together.
#[derive(Debug, thiserror::Error)]
pub enum PreambleError {
    /// The connection failed before the preamble was through.
    #[error("the connection ended in the preamble: {0}")]
    Io(#[from] std::io::Error),
    /// The other end is something else.
    #[error("the other end does not speak Carcin's protocol")]
    Magic,
    /// The other end is too old.
    #[error("the other end speaks protocol {0}, this one {VERSION}; upgrade the other end")]
    TheyAreOlder(Version),
    /// This end is too old.
    #[error("the other end speaks protocol {0}, this one {VERSION}; upgrade this one")]
    WeAreOlder(Version),
}

/// This end's preamble.
pub fn ours() -> [u8; LEN] {
    let mut out = [0; LEN];
    out[..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&VERSION.major.to_le_bytes());
    out[10..].copy_from_slice(&VERSION.minor.to_le_bytes());
    out
}

/// Checks the other end's preamble.
pub fn check(theirs: &[u8; LEN]) -> Result<Version, PreambleError> {
    if theirs[..8] != MAGIC {
        return Err(PreambleError::Magic);
    }
    let version = Version {
        major: u16::from_le_bytes([theirs[8], theirs[9]]),
        minor: u16::from_le_bytes([theirs[10], theirs[11]]),
    };
    match version.major.cmp(&VERSION.major) {
        Ordering::Less => Err(PreambleError::TheyAreOlder(version)),
        Ordering::Greater => Err(PreambleError::WeAreOlder(version)),
        Ordering::Equal => Ok(version),
    }
}

/// Sends this end's preamble and checks the other's. Both ends send first, so neither waits for the other.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<Version, PreambleError> {
    stream.write_all(&ours()).await?;
    stream.flush().await?;
    let mut theirs = [0; LEN];
    stream.read_exact(&mut theirs).await?;
    check(&theirs)
}
