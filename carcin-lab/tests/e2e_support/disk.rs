//! Small disks of a test's own, to be filled up. They need root; without it a test says that it is skipped, and fails
//! where everything must be tested.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use carcin_lab::rig::abandoned;

/// How the folders begin on which disks are mounted; the process that made one, and a random part, follow.
const PREFIX: &str = "crig-disk-";

/// What a disk is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Memory.
    Tmpfs,
    /// A file, formatted and mounted as ext4.
    Ext4,
}

/// A disk that is mounted. Unmounted when this is dropped: declare it before what uses it.
#[derive(Debug)]
pub struct Disk {
    dir: tempfile::TempDir,
}

/// Says that a test cannot be run here, for this reason; an error where it must be.
pub fn skip(why: &str) -> anyhow::Result<()> {
    if std::env::var_os("CARCIN_CI_STRICT").is_some_and(|strict| strict == "1") {
        bail!("this test must be run, and {why}");
    }
    // To the terminal, past the test harness, which would keep it to itself.
    if let Ok(mut terminal) = fs::OpenOptions::new().write(true).open("/proc/self/fd/2") {
        let _ = std::io::Write::write_all(&mut terminal, format!("SKIPPED: {why}\n").as_bytes());
    }
    Ok(())
}

/// Runs a program to its end; the error is what it said.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

impl Disk {
    /// A new disk of this many MiB. `None`: that cannot be done here, and it was said.
    pub fn mount(kind: Kind, mb: u64) -> anyhow::Result<Option<Self>> {
        clear_abandoned();
        if !nix::unistd::geteuid().is_root() {
            skip("mounting a small disk needs root")?;
            return Ok(None);
        }
        let dir = tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir()?;
        let disk = Self { dir };
        fs::create_dir(disk.path())?;
        let path = disk.path();
        let mounted = match kind {
            Kind::Tmpfs => {
                let size = format!("size={mb}m,mode=0700");
                run("mount", &["-t", "tmpfs", "-o", &size, "none", text(&path)])
            }
            Kind::Ext4 => {
                let image = disk.dir.path().join("image");
                fs::File::create(&image)?.set_len(mb << 20)?;
                // Nothing is kept back for root, who runs the test.
                run("mkfs.ext4", &["-q", "-F", "-m", "0", text(&image)])
                    .and_then(|()| mount_image(&image, &path))
            }
        };
        match mounted {
            Ok(()) => Ok(Some(disk)),
            Err(error) => {
                skip(&format!("no small disk can be mounted: {error}"))?;
                Ok(None)
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Takes all of its space but this many MiB.
    pub fn fill(&self, leave_mb: u64) -> anyhow::Result<()> {
        // A file system keeps something for its own use at first: what it gives is taken in ever smaller pieces.
        let mut piece: u64 = 64 << 20;
        let mut count = 0;
        while piece >= 4096 {
            let room = self.free()?.saturating_sub(leave_mb << 20);
            let take = piece.min(room);
            let file = self.path().join(format!("ballast-{count}"));
            if take >= 4096 && run("fallocate", &["-l", &take.to_string(), text(&file)]).is_ok() {
                count += 1;
            } else {
                let _ = fs::remove_file(file);
                piece /= 4;
            }
        }
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    pub fn empty(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("ballast-") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The bytes that may still be written to it.
    pub fn free(&self) -> anyhow::Result<u64> {
        let stat = nix::sys::statvfs::statvfs(&self.path())?;
        Ok(stat.blocks_available() * stat.fragment_size())
    }

    /// Makes it read-only, or not.
    pub fn read_only(&self, read_only: bool) -> anyhow::Result<()> {
        let mode = if read_only { "remount,ro" } else { "remount,rw" };
        run("mount", &["-o", mode, text(&self.path())])
    }

    /// Has it fail as one does on which the kernel finds an error: nobody can write to it any more, not even to what is
    /// open. Only for ext4. `false`: that cannot be done here, and it was said.
    pub fn fail(&self) -> anyhow::Result<bool> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let path = self.path();
        let at = mounts.lines().find(|line| line.split(' ').nth(1) == Some(text(&path)));
        let device = at.and_then(|line| line.split(' ').next()?.strip_prefix("/dev/"));
        let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", device.context("it is not mounted")?);
        if let Err(error) = fs::write(&trigger, "1") {
            skip(&format!("a disk cannot be made to fail: {trigger}: {error}"))?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Unmounts what has failed, which nobody may use, checks it, and mounts it again.
    pub fn repair(&self) -> anyhow::Result<()> {
        let image = self.dir.path().join("image");
        run("umount", &[text(&self.path())])?;
        // 1: errors were corrected.
        run("sh", &["-c", "e2fsck -f -y \"$1\"; test $? -le 1", "sh", text(&image)])?;
        mount_image(&image, &self.path())
    }

    /// Makes it read-only for all who come by its path, until the cover is dropped. That is also possible while
    /// somebody has a file open to write to it, who still may.
    pub fn cover_read_only(&self) -> anyhow::Result<Cover> {
        let path = self.path();
        run("mount", &["--bind", text(&path), text(&path)])?;
        let cover = Cover { path };
        run("mount", &["-o", "remount,ro,bind", text(&cover.path)])?;
        Ok(cover)
    }
}

fn mount_image(image: &Path, path: &Path) -> anyhow::Result<()> {
    run("mount", &["-o", "loop,errors=remount-ro", text(image), text(path)])
}

/// A disk's second mount, over the first.
#[derive(Debug)]
pub struct Cover {
    path: PathBuf,
}

impl Drop for Cover {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.path());
    }
}

/// Whether a disk is mounted there.
fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|at| at.dev()).ok();
    path.parent().is_some_and(|parent| device(path) != device(parent))
}

fn unmount(path: &Path) {
    // Lazily: whoever still has a file there does not keep it in the tree. Its loop device goes with it.
    if let Err(error) = run("umount", &["-l", text(path)]) {
        eprintln!("a disk stays: {error}");
    }
}

/// Unmounts what a test process left behind that was killed.
fn clear_abandoned() {
    for dir in abandoned(PREFIX) {
        let disk = dir.join("disk");
        // A cover, then what it covers.
        for _ in 0..2 {
            if is_mounted(&disk) {
                unmount(&disk);
            }
        }
        let _ = fs::remove_dir_all(dir);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's paths are text")
}
