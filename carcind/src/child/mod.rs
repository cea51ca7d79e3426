//! One child process whose output goes to spool files and whose input is a FIFO, so that it outlives us.
//!
//! This module knows bytes, not what they mean, and no journal: offsets are given to it and reported by it.
//! The life of a child, which has one [`ChildDir`] to itself (a *generation*):
//!
//! 1. [`ChildDir::create`] makes the directory with FIFO and spools, [`ChildDir::spawn`] starts
//!    `carcind child DIR` there, plainly or as a systemd service ([`Launcher`]). That process claims the
//!    directory, takes the lease, and becomes the child ([`run_launcher`]).
//! 2. [`Child`] watches over it; [`FifoWriter`] gives it lines, [`Tail`] reads what it prints.
//! 3. We may die at any point. [`ChildDir::adopt`] says whether the child lives, and takes it up again.
//!
//! The files of a generation:
//!
//! | file | what |
//! |---|---|
//! | `spec.json` | what to run ([`Spec`]); holds the environment, so mode 0600 |
//! | `stdin` | FIFO, held open for reading *and* writing by the child itself |
//! | `stdout`, `stderr` | the spools, append only |
//! | `lease` | write-locked (POSIX) by the child for as long as it lives |
//! | `pid` | the claim: made once, locked until the child's `exec`. Its content is for diagnosis |
//! | `unit` | the systemd unit's name, where there is one |
//! | `failed` | why the child could not be started ([`Failure`]) |
//! | `exit` | how the child ended, written by its supervisor where there is one |

mod claim;
mod dir;
mod exit;
mod fifo;
mod launch;
mod lines;
mod process;
mod rewind;
mod spawn;
mod spec;
mod spool;
mod stderr;
mod sweep;
mod systemd;
mod tail;
mod wake;

pub use dir::{ChildDir, CreateError, RemoveError};
pub use exit::{Exit, Failure};
pub use fifo::{ATOMIC_LINE, FifoWriter, LONGEST_LINE, WriteError};
pub use launch::{EXIT_SETUP, EXIT_TAKEN, record_exit, run_launcher};
pub use lines::{LINE_CAP, Line, Text};
pub use process::{Child, SignalError};
pub use spawn::{AdoptError, Adopted, SpawnError};
pub use spec::{Limits, MARKER_ENV, Spec};
pub use spool::RESERVE;
pub use stderr::{STDERR_TAIL, StderrTail};
pub use sweep::{Process, Snapshot, Swept};
pub(crate) use systemd::UNIT;
pub use systemd::{Launcher, Preference};
pub use tail::{Batch, Notice, Tail, TailError};
