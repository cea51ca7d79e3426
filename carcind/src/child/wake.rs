//! Learning that a file has changed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::read;
use tokio::io::unix::AsyncFd;

use super::tail::Notice;
use crate::os;

/// First pause of polling: close to what inotify gives while output flows.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause of polling: a barely visible delay after silence, for five looks at the file a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Room for a hundred events, in bytes. The kernel joins equal ones, so one file has never more than one.
const EVENTS: usize = 4 << 10;

/// Wakes when a file may have changed.
#[derive(Debug)]
pub(super) enum Wake {
    Inotify(AsyncFd<OwnedFd>),
    Poll { pause: Duration },
}

impl Wake {
    /// Watches `path`; whatever is written after this returned will wake. Where inotify is not to be had (a
    /// user has 128 instances by default, for all programs together), the file is polled.
    pub(super) fn on(path: &Path, notice: Notice) -> Self {
        let polling = Self::Poll { pause: FIRST_PAUSE };
        if notice == Notice::Poll {
            return polling;
        }
        watch(path).map_or_else(
            |error| {
                tracing::debug!(%error, "no inotify, polling the spool instead");
                polling
            },
            Self::Inotify,
        )
    }

    /// Waits until the file may have changed since the last call. Cancel safe.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        match self {
            Self::Poll { pause } => {
                tokio::time::sleep(*pause).await;
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                Ok(())
            }
            Self::Inotify(inotify) => loop {
                let mut ready = inotify.readable().await?;
                // What the events say does not matter, an overflow neither: the file itself is looked at.
                let drained = read(ready.get_inner(), &mut [0; EVENTS]);
                match drained {
                    Err(Errno::EINTR) => {}
                    // Nothing is left in it, so that the next call need not look; what comes now makes it ready again.
                    Ok(_) => {
                        ready.clear_ready();
                        return Ok(());
                    }
                    Err(Errno::EAGAIN) => ready.clear_ready(),
                    Err(errno) => return Err(errno.into()),
                }
            },
        }
    }

    /// Tells that there was something to read, so that polling is quick for a while.
    pub(super) fn found(&mut self) {
        if let Self::Poll { pause } = self {
            *pause = FIRST_PAUSE;
        }
    }
}

fn watch(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    inotify.add_watch(path, AddWatchFlags::IN_MODIFY)?;
    os::wait_readable(inotify.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_watched_is_polled() {
        let mut wake = Wake::on(Path::new("/no/such/spool"), Notice::Inotify);
        assert!(matches!(wake, Wake::Poll { .. }));
        wake.changed().await.unwrap();
    }
}
