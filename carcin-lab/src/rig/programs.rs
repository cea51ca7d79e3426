//! Carcin's own programs, built as the program that asks was built.
//!
//! Cargo builds the programs of one package only for that package's own tests, so the rig sees to it itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, bail};

/// Where the programs are; set it to use programs that are built already.
pub const BIN_DIR_ENV: &str = "CARCIN_BIN_DIR";

/// The daemon with fault points.
const FAULT_DAEMON: &str = "carcind-faults";
/// The front end with fault points.
const FAULT_FRONT: &str = "carcin-tg-faults";

/// The directory with the programs. Builds them, once in a process, unless [`BIN_DIR_ENV`] says where they are.
/// Blocks for as long as that takes.
pub(crate) fn directory() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

/// The same, with the daemon that has fault points among them. That is a program of its own, so that no build of
/// the one that ships ever has any.
pub(super) fn with_faults() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let build = || {
            let dir = directory()?;
            if std::env::var_os(BIN_DIR_ENV).is_none() {
                let (mut command, _) =
                    command(&["--bin", FAULT_DAEMON, "--features", "carcind/fault-points"])?;
                run(command.arg("--quiet"))?;
            }
            Ok(dir)
        };
        build().map_err(|error: anyhow::Error| format!("{error:#}"))
    });
    built.clone().map_err(anyhow::Error::msg)
}

/// The front end with fault points, a program of its own as well. Builds it, unless [`BIN_DIR_ENV`] says where it is.
/// Blocks for as long as that takes.
pub fn front_with_faults() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let build = || {
            if let Some(dir) = std::env::var_os(BIN_DIR_ENV) {
                return Ok(PathBuf::from(dir));
            }
            let (mut command, dir) =
                command(&["--bin", FAULT_FRONT, "--features", "carcin-tg/fault-points"])?;
            run(command.arg("--quiet"))?;
            Ok(dir)
        };
        let program = build().map_err(|error: anyhow::Error| format!("{error:#}"))?.join(FAULT_FRONT);
        if program.exists() { Ok(program) } else { Err(format!("there is no {}", program.display())) }
    });
    built.clone().map_err(anyhow::Error::msg)
}

/// The daemon with fault points, which must be there.
pub(super) fn fault_daemon(dir: &Path) -> anyhow::Result<PathBuf> {
    let program = dir.join(FAULT_DAEMON);
    anyhow::ensure!(
        program.exists(),
        "there is no {FAULT_DAEMON} in {}: a test asks for a fault, and carcind has no fault points\nhint: build \
         it there with `cargo build --bin {FAULT_DAEMON} --features carcind/fault-points`",
        dir.display()
    );
    Ok(program)
}

fn build() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os(BIN_DIR_ENV) {
        return Ok(PathBuf::from(dir));
    }
    let (mut command, dir) = build_command()?;
    run(command.arg("--quiet"))?;
    Ok(dir)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "building Carcin's programs failed ({})\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The command that builds the programs, and the directory in which they then are.
pub(crate) fn build_command() -> anyhow::Result<(Command, PathBuf)> {
    command(&["--bins"])
}

fn command(which: &[&str]) -> anyhow::Result<(Command, PathBuf)> {
    let exe = std::env::current_exe().context("cannot find out where this program is")?;
    let dir = directory_of(&exe).with_context(|| {
        format!("{} is not in a target directory of Cargo's\nhint: set {BIN_DIR_ENV}", exe.display())
    })?;
    let (target, profile) = (dir.parent(), dir.file_name().and_then(|name| name.to_str()));
    let (Some(target), Some(profile)) = (target, profile) else {
        bail!("{} is no directory of a profile", dir.display())
    };
    let profile = if profile == "debug" { "dev" } else { profile };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What Cargo tells a program about its own package; of this build it is not true, and dependencies whose build
    // scripts look at it would be built anew each time.
    let told = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| name.starts_with(start))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(told)) {
        command.env_remove(name);
    }
    command
        .arg("build")
        .args(which)
        .args(["-p", "carcind", "-p", "carcin-tg", "-p", "carcin-lab"])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    Ok((command, dir.to_owned()))
}

/// `target/debug` of `target/debug/deps/test-0123` and of `target/debug/program`.
fn directory_of(exe: &Path) -> Option<&Path> {
    let dir = exe.parent()?;
    match dir.file_name()?.to_str()? {
        "deps" | "examples" => dir.parent(),
        _ => Some(dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_and_a_program_lie_in_the_same_profile() {
        let dir = Path::new("/t/debug");
        assert_eq!(directory_of(Path::new("/t/debug/deps/e2e-01ab")), Some(dir));
        assert_eq!(directory_of(Path::new("/t/debug/carcin-lab")), Some(dir));
    }
}
