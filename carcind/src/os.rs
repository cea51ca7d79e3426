//! The system calls that `nix` does not offer safely. The only module where `unsafe` is allowed.
//!
//! Every function here is a thin safe wrapper: it takes borrowed descriptors and plain numbers, and hands no
//! pointer on that outlives the call.
#![allow(unsafe_code)] // a raw system call has no other form

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::sys::signal::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that names process `pid` for as long as it is open, even after the number is used again.
///
/// It becomes readable when the process ends. `ESRCH` when there is no such process.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    // SAFETY: two integers in, a new descriptor or -1 out.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `signal` to exactly the process behind `pidfd`. `ESRCH` when it has ended and was reaped.
pub fn pidfd_send_signal(pidfd: impl AsFd, signal: Signal) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is borrowed for the call; a null `info` means what `kill` would fill in.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, info, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How many bytes wait to be read in a pipe or FIFO.
pub fn bytes_waiting(pipe: impl AsFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int through the pointer, which lives across the call.
    let result = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    usize::try_from(count).map_err(io::Error::other)
}

/// The same open file under a descriptor numbered `least` or higher, which is inherited across `exec`.
pub fn duplicate_inheritable(file: impl AsFd, least: i32) -> io::Result<File> {
    // SAFETY: integers in, a new descriptor or -1 out.
    let fd = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_DUPFD, least) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Marks every descriptor above stderr to be closed by `exec`, so that nothing leaks into the next program.
pub fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: integers only; descriptors are marked, none is closed under its owner.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives every signal its default action again; `exec` would hand ignored ones on (SIGPIPE above all).
pub fn reset_signal_actions() {
    for signal in Signal::iterator() {
        // SAFETY: SIG_DFL installs no code of ours. SIGKILL and SIGSTOP refuse, which is what we want.
        unsafe { libc::signal(signal as i32, libc::SIG_DFL) };
    }
}

/// Registers `fd` with the runtime, to wait until it can be read. It belongs to the result.
pub fn wait_readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always answers with the one descriptor that it keeps open, as is demanded here.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(io::Error::from)
}
