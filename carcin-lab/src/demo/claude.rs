//! Which Claude the demo talks to.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::Arguments;
use crate::rig::Claude;

/// How long `claude --version` may take; the first start after an installation is slow.
const VERSION: Duration = Duration::from_secs(20);

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// The scripted Claude; where the real one was looked for in vain, why.
    Scripted(Option<String>),
    /// The real one, of this version, whose model is the stand-in.
    ScriptedModel(PathBuf, String),
    /// The real one with the user's own login.
    RealModel(PathBuf, String),
}

impl Choice {
    /// Chooses. Fails only where the user asked for what cannot be.
    pub(super) async fn make(arguments: &Arguments) -> anyhow::Result<Self> {
        if arguments.scripted {
            return Ok(Self::Scripted(None));
        }
        let asked_for = arguments.claude.is_some() || arguments.real_model;
        let found = match &arguments.claude {
            Some(path) => Some(std::path::absolute(path)?),
            None => on_path("claude", std::env::var_os("PATH").as_deref()),
        };
        let Some(path) = found else {
            if asked_for {
                bail!(
                    "there is no `claude` on PATH\nhint: install Claude Code, or name it with --claude PATH"
                );
            }
            return Ok(Self::Scripted(Some("there is no `claude` on PATH".to_owned())));
        };
        match version(&path).await {
            Ok(version) if arguments.real_model => Ok(Self::RealModel(path, version)),
            Ok(version) => Ok(Self::ScriptedModel(path, version)),
            Err(error) if asked_for => Err(error),
            Err(error) => Ok(Self::Scripted(Some(format!("{error:#}")))),
        }
    }

    pub(super) fn claude(&self) -> Claude {
        match self {
            Self::Scripted(_) => Claude::Scripted,
            Self::ScriptedModel(path, _) | Self::RealModel(path, _) => Claude::Path(path.clone()),
        }
    }

    pub(super) fn is_real_model(&self) -> bool {
        matches!(self, Self::RealModel(..))
    }
}

/// The first program of this name in the directories of `path`.
fn on_path(name: &str, path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    use nix::unistd::{AccessFlags, access};
    let runs = |program: &PathBuf| program.is_file() && access(program, AccessFlags::X_OK).is_ok();
    std::env::split_paths(path?).map(|dir| dir.join(name)).find(runs)
}

/// What the program says its version is.
async fn version(program: &Path) -> anyhow::Result<String> {
    let asked = Command::new(program).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    let shown = program.display();
    let output = tokio::time::timeout(VERSION, asked)
        .await
        .with_context(|| format!("{shown} --version did not answer within {VERSION:?}"))?
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("{shown} --version failed ({})", output.status);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let version =
        said.split_whitespace().next().with_context(|| format!("{shown} --version said nothing"))?;
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser as _;

    use super::*;

    fn program(dir: &Path, name: &str, script: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn choose(more: &[&str]) -> anyhow::Result<Choice> {
        let arguments = Arguments::try_parse_from(["carcin-demo"].iter().chain(more))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(Choice::make(&arguments))
    }

    #[test]
    fn the_first_that_can_be_run_is_taken() {
        let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        std::fs::write(first.path().join("claude"), "not a program").unwrap();
        let wanted = program(second.path(), "claude", "echo");
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        assert_eq!(on_path("claude", Some(&path)), Some(wanted));
        assert_eq!(on_path("claude", Some(first.path().as_os_str())), None);
        assert_eq!(on_path("claude", None), None);
    }

    #[test]
    fn the_real_model_is_asked_only_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        let path = program(dir.path(), "claude", "echo '2.1.330 (Claude Code)'");
        let named = ["--claude", path.to_str().unwrap()];
        let version = "2.1.330".to_owned();
        assert_eq!(choose(&named).unwrap(), Choice::ScriptedModel(path.clone(), version.clone()));
        let real = choose(&[named[0], named[1], "--real-model"]).unwrap();
        assert_eq!(real, Choice::RealModel(path.clone(), version));
    }

    #[test]
    fn a_claude_that_was_asked_for_and_does_not_run_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = program(dir.path(), "claude", "exit 3");
        let error = choose(&["--claude", path.to_str().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("--version failed"), "{error}");
        assert!(choose(&["--claude", "/nowhere/claude"]).is_err());
        assert!(choose(&["--scripted", "--real-model"]).is_err(), "these contradict each other");
        assert_eq!(choose(&["--scripted"]).unwrap(), Choice::Scripted(None));
    }
}
