//! Who is at the other end of a connection.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use carcin_proto::paths;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use uuid::Uuid;

use crate::child::{ChildDir, MARKER_ENV, UNIT};
use crate::conversation::Site;
use crate::process_stat::ancestors;

/// The process at the other end, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    /// 0: in a namespace that cannot be seen from here.
    pub(super) pid: u32,
}

impl Peer {
    pub(super) fn of(stream: impl AsFd) -> nix::Result<Self> {
        let credentials = getsockopt(&stream, PeerCredentials)?;
        Ok(Self { uid: credentials.uid(), pid: credentials.pid().cast_unsigned() })
    }

    /// Whether it is one of ours: the daemon's own user.
    pub(super) fn is_owner(self) -> bool {
        self.uid == nix::unistd::geteuid().as_raw()
    }

    /// Whether it is in a Claude's tree of processes, or cannot be shown not to be: then it may only say
    /// something, not decide. Otherwise "always allow `carcin-ctl`" would let Claude answer its own questions.
    ///
    /// The tree alone does not show it: the parent of an orphan is the system's first process. So each process on
    /// the way up is asked for the mark, too, that everything which a Claude starts inherits.
    pub(super) fn is_within_claude(self, site: &Site) -> bool {
        // Where a lease cannot be read the marks tell all the same.
        let claudes = ChildDir::living(&site.state_dir).unwrap_or_default();
        let us = std::process::id();
        if is_marked(self.pid, site).unwrap_or(true) {
            return true;
        }
        ancestors(self.pid).any(|at| {
            let Ok(pid) = at else { return true };
            // What we have started is a Claude, or about to become one.
            let started = claudes.contains(&pid) || (pid == us && self.pid != us);
            // Another user's, as that of a login, does not show its mark. It has none.
            started || (pid != self.pid && is_marked(pid, site).unwrap_or(false))
        })
    }
}

/// Whether a process carries the mark of a Claude of ours, living or dead, or is in the unit of one. `None`: it does
/// not show that.
fn is_marked(pid: u32, site: &Site) -> Option<bool> {
    let proc = Path::new("/proc").join(pid.to_string());
    let cgroup = fs::read_to_string(proc.join("cgroup")).unwrap_or_default();
    if cgroup.contains(UNIT) {
        return Some(true);
    }
    let environ = fs::read(proc.join("environ")).ok()?;
    // A daemon that is itself somewhere in a Claude's tree shares that mark with everything around it.
    let ours = std::env::var_os(MARKER_ENV);
    Some(carries_mark(&environ, ours.as_deref().map(OsStr::as_bytes), site))
}

/// A mark is of a Claude of ours where its directory is, or, once that is gone, where it comes with our socket.
fn carries_mark(environ: &[u8], ours: Option<&[u8]>, site: &Site) -> bool {
    let value = |name: &str| {
        let entry =
            |entry: &&[u8]| entry.starts_with(name.as_bytes()) && entry.get(name.len()) == Some(&b'=');
        Some(&environ.split(|byte| *byte == 0).find(entry)?[name.len() + 1..])
    };
    let Some(mark) = value(MARKER_ENV).filter(|mark| Some(*mark) != ours) else { return false };
    let generation = std::str::from_utf8(mark).ok().and_then(|mark| mark.parse::<Uuid>().ok());
    generation.is_some_and(|generation| ChildDir::open(&site.state_dir, generation).path().exists())
        || value(paths::SOCKET) == Some(site.socket.as_os_str().as_bytes())
}
