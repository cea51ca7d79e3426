//! The body of the hidden `carcind child DIR`: claim the directory, take the lease, become the child.
//!
//! The order is what makes a child findable at every moment. The claim is a hard link, so it appears once and
//! with its lock already on; the lease is taken before `exec` closes the claim's descriptor and so unlocks it.
//! Hence for whoever looks: claim locked = being launched, lease locked = runs, neither = ended.

use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, getsid, setsid};

use super::claim;
use super::dir::ChildDir;
use super::exit::{Exit, Failure, write_whole};
use super::spec::{Limits, MARKER_ENV, Spec};
use crate::fault::{self, Point};
use crate::os;
use crate::posix_lock;

/// Exit code of a launcher that found the directory claimed by another, or closed.
pub const EXIT_TAKEN: i32 = 75;
/// Exit code of a launcher that failed before it could try to run the program.
pub const EXIT_SETUP: i32 = 125;
/// Exit code when the program exists and cannot be run, as shells have it.
const EXIT_CANNOT_RUN: i32 = 126;
/// Exit code when there is no such program, as shells have it.
const EXIT_NOT_FOUND: i32 = 127;
/// The lease's descriptor is this or higher, out of reach of a wrapper script's `exec 3>…`.
const LEASE_FD: i32 = 100;

/// Becomes the child that `dir` specifies; returns only with the exit code of a failure, which it has written
/// to the file `failed` (unless the directory is another's).
pub fn run_launcher(dir: &Path) -> i32 {
    let Some(dir) = ChildDir::at(dir) else { return EXIT_SETUP };
    fault::point(Point::LauncherBegins);
    // Until `exec`, this holds the claim's lock.
    let _claim = match claim::take(&dir) {
        Ok(Some(claim)) => claim,
        Ok(None) => return EXIT_TAKEN,
        Err(error) => return fail(&dir, EXIT_SETUP, "cannot claim the child's directory", &error),
    };
    fault::point(Point::LauncherClaimed);
    match become_child(&dir) {
        Ok(never) => match never {},
        Err(Stop { code, what, error }) => fail(&dir, code, &what, &error),
    }
}

/// The body of the hidden `carcind child-ended DIR`, which systemd runs when the child's unit has ended: keeps
/// the status that systemd hands over in `EXIT_CODE` and `EXIT_STATUS` (see `systemd.exec(5)`).
pub fn record_exit(dir: &Path) -> io::Result<()> {
    let dir = ChildDir::at(dir).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    write_whole(&dir.exit_path(), &exit_of(&variable("EXIT_CODE"), &variable("EXIT_STATUS")))
}

fn exit_of(code: &str, status: &str) -> Exit {
    match (code, status.parse()) {
        ("exited", Ok(status)) => Exit::Code(status),
        // A number where the signal has no name.
        ("killed" | "dumped", Ok(number)) => Exit::Signal(number),
        ("killed" | "dumped", Err(_)) => {
            format!("SIG{status}").parse().map_or(Exit::Unknown, |signal: Signal| Exit::Signal(signal as i32))
        }
        _ => Exit::Unknown,
    }
}

struct Stop {
    code: i32,
    what: String,
    error: io::Error,
}

/// Names the step that failed.
fn step<T, E: Into<io::Error>>(what: impl Into<String>, result: Result<T, E>) -> Result<T, Stop> {
    result.map_err(|error| Stop { code: EXIT_SETUP, what: what.into(), error: error.into() })
}

fn fail(dir: &ChildDir, code: i32, what: &str, error: &io::Error) -> i32 {
    let errno = error.raw_os_error();
    // For people: without the number that the standard library adds.
    let why =
        errno.map_or_else(|| error.to_string(), |errno| nix::errno::Errno::from_raw(errno).desc().to_owned());
    let failure = Failure { errno, sentence: format!("{what}: {why}") };
    if let Err(error) = write_whole(&dir.failed_path(), &failure) {
        // Goes to the child's stderr spool or to the system's journal, whichever is open by now.
        eprintln!("{failure}\ncannot write that down: {error}");
    }
    code
}

fn become_child(dir: &ChildDir) -> Result<Infallible, Stop> {
    step("cannot close inherited descriptors", os::close_others_on_exec())?;
    let spec = step("cannot read what to run", fs::read(dir.spec_path()))?;
    let spec: Spec = step("cannot understand what to run", serde_json::from_slice(&spec))?;
    // Held to the end of the process: `exec` keeps descriptor and lock.
    let _lease = step("cannot take the lease", take_lease(dir))?;
    step("cannot start a session", own_session())?;
    step("cannot open the child's files", redirect(dir))?;
    step("cannot set limits", apply(&spec.limits))?;
    step("cannot reset the signal mask", SigSet::empty().thread_set_mask())?;
    os::reset_signal_actions();
    let enter = std::env::set_current_dir(&spec.cwd);
    step(format!("cannot enter the working directory {}", spec.cwd.display()), enter)?;
    fault::point(Point::LauncherLeased);
    exec(&spec)
}

fn take_lease(dir: &ChildDir) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(dir.lease_path())?;
    let lease = os::duplicate_inheritable(&file, LEASE_FD)?;
    // Before locking, because closing any descriptor of the file drops the lock.
    drop(file);
    if posix_lock::take(&lease)? { Ok(lease) } else { Err(io::Error::other("another process holds it")) }
}

/// Leads a session of its own, so that no terminal and no group of ours can signal the child.
fn own_session() -> nix::Result<()> {
    // Under systemd this process leads a session already, and `setsid` would refuse.
    if getsid(None)? != getpid() {
        let _: Pid = setsid()?;
    }
    Ok(())
}

fn redirect(dir: &ChildDir) -> io::Result<()> {
    // For reading and writing: opening does not wait for a writer, and reading never meets an end of file.
    dup2_stdin(OpenOptions::new().read(true).write(true).open(dir.stdin_path())?)?;
    dup2_stdout(OpenOptions::new().append(true).open(dir.stdout_path())?)?;
    dup2_stderr(OpenOptions::new().append(true).open(dir.stderr_path())?)?;
    Ok(())
}

fn apply(limits: &Limits) -> nix::Result<()> {
    let wanted = [(Resource::RLIMIT_NOFILE, limits.open_files), (Resource::RLIMIT_CORE, limits.core_bytes)];
    for (resource, wanted) in wanted {
        if let Some(wanted) = wanted {
            let (_, hard) = getrlimit(resource)?;
            setrlimit(resource, wanted.min(hard), hard)?;
        }
    }
    if let Some(mask) = limits.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    Ok(())
}

fn exec(spec: &Spec) -> Result<Infallible, Stop> {
    let (program, arguments) = spec.argv.split_first().ok_or_else(|| Stop {
        code: EXIT_SETUP,
        what: "there is nothing to run".to_owned(),
        error: io::ErrorKind::InvalidInput.into(),
    })?;
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .env(MARKER_ENV, &spec.marker)
        .exec();
    let code = if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_CANNOT_RUN };
    Err(Stop { code, what: format!("cannot run {program}"), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_status_words_are_understood() {
        assert_eq!(exit_of("exited", "3"), Exit::Code(3));
        assert_eq!(exit_of("killed", "TERM"), Exit::Signal(15));
        assert_eq!(exit_of("dumped", "SEGV"), Exit::Signal(11));
        assert_eq!(exit_of("killed", "34"), Exit::Signal(34));
        assert_eq!(exit_of("", ""), Exit::Unknown);
    }
}
