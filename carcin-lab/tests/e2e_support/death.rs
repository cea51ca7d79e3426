//! Who dies when Claude does, and what is said of it then.

use carcin_lab::rig::Rig;
use nix::sys::signal::Signal;

use super::front::Front;
use super::{eventually, lives, signal, slay};

/// What is said of a Claude that was killed.
pub const KILLED: &str =
    "Claude was ended by signal 9 (SIGKILL). If nobody did that, the machine may have run out of memory";
/// What is said of one whose end the daemon did not live to see.
pub const UNSEEN: &str = "Claude is gone, and nobody saw how it ended";

/// Who gets SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Claude, under the daemon's eyes.
    Claude,
    /// Both: Claude first, but the daemon has no time to see it.
    Both,
    /// The daemon, and then Claude while there is none.
    ClaudeUnseen,
}

impl Who {
    /// Has them die; afterwards there is a daemon.
    pub async fn dies(self, rig: &mut Rig, front: &Front) -> anyhow::Result<()> {
        let pid = front.pid().await?;
        match self {
            Self::Claude => return slay(pid),
            Self::Both => {
                signal(rig.daemon.pid(), Signal::SIGSTOP)?;
                slay(pid)?;
                gone(pid).await?;
                rig.kill_daemon().await?;
            }
            Self::ClaudeUnseen => {
                rig.kill_daemon().await?;
                slay(pid)?;
                gone(pid).await?;
            }
        }
        rig.restart_daemon().await
    }

    /// What is said of it.
    pub fn why(self) -> &'static str {
        match self {
            Self::Claude => KILLED,
            Self::Both | Self::ClaudeUnseen => UNSEEN,
        }
    }
}

async fn gone(pid: u32) -> anyhow::Result<()> {
    eventually("Claude to be gone", || (!lives(pid)).then_some(())).await
}
