//! Who is at the other end of a connection.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use carcin_proto::Snapshot;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::child::{MARKER_ENV, parent};

/// How far up the tree of processes to look. Deeper than this is nobody's shell.
const GENERATIONS: usize = 64;

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
    pub(super) fn is_within_claude(self, snapshot: &Snapshot, state_dir: &Path) -> bool {
        let claudes: Vec<u32> = snapshot.conversations.values().filter_map(|at| at.claude_pid).collect();
        let mut pid = self.pid;
        for _ in 0..GENERATIONS {
            if pid == 1 {
                return self.is_marked(state_dir);
            }
            if claudes.contains(&pid) {
                return true;
            }
            match parent(pid) {
                Some(parent) if parent != 0 => pid = parent,
                // The top of a namespace, or it has ended meanwhile.
                Some(_) => return self.is_marked(state_dir),
                None => return true,
            }
        }
        true
    }

    /// A process that was orphaned, in a Claude's tool, still carries the mark of the child it came from, or is
    /// in its unit.
    fn is_marked(self, state_dir: &Path) -> bool {
        let proc = Path::new("/proc").join(self.pid.to_string());
        let Ok(environ) = fs::read(proc.join("environ")) else { return true };
        let prefix = format!("{MARKER_ENV}=");
        let mark = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix.as_bytes()));
        let marked = mark
            .and_then(|mark| std::str::from_utf8(mark).ok())
            .and_then(|mark| mark.parse::<uuid::Uuid>().ok())
            .is_some_and(|mark| state_dir.join("children").join(mark.to_string()).exists());
        let cgroup = fs::read_to_string(proc.join("cgroup")).unwrap_or_default();
        marked || cgroup.contains("carcin-claude-")
    }
}
