//! How the program is started anew: by its service, or by itself where there is none.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{info, warn};

/// Before it: the answer to who asked should be out.
const FIRST: Duration = Duration::from_millis(400);
/// How long systemctl may take. It only leaves a job.
const SYSTEMCTL: Duration = Duration::from_secs(10);
/// A service that has not ended this process after that is not the one that it runs in.
const SERVICE: Duration = Duration::from_secs(15);

/// A handle by which the program is restarted.
#[derive(Debug, Clone)]
pub struct Restart {
    service: Option<String>,
    wanted: Arc<Notify>,
}

impl Restart {
    /// Through this service of the user's; `None`: through the one it runs in, if it does.
    pub fn new(service: Option<String>) -> Self {
        Self { service: service.or_else(own_service), wanted: Arc::new(Notify::new()) }
    }

    /// Begins it; this process ends soon.
    pub fn begin(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(FIRST).await;
            if let Some(service) = &this.service {
                match by_service(service).await {
                    Ok(()) => tokio::time::sleep(SERVICE).await,
                    Err(why) => warn!("{service} cannot be restarted, so I start myself anew: {why}"),
                }
            }
            this.wanted.notify_one();
        });
    }

    /// Waits until the program is to start itself anew.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

async fn by_service(service: &str) -> Result<(), String> {
    info!(service, "restarting");
    let mut systemctl = tokio::process::Command::new("systemctl");
    systemctl.args(["--user", "restart", "--no-block", "--", service]);
    systemctl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = tokio::time::timeout(SYSTEMCTL, systemctl.output()).await;
    let output =
        ended.map_err(|_| "systemctl does not end".to_owned())?.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect();
    Err(format!("{}: {said}", output.status))
}

/// The service of the user's systemd whose main process this is. One that was started by hand, from within some other
/// service, has none: to restart that one would be bad manners.
fn own_service() -> Option<String> {
    let main = std::env::var("SYSTEMD_EXEC_PID").ok()?;
    if main != std::process::id().to_string() {
        return None;
    }
    user_service(&std::fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The service of the user's systemd in whose control group a process is.
fn user_service(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (_, inside) = path.split_once("/user@")?;
    let unit = inside.split('/').skip(1).find(|part| part.ends_with(".service"))?;
    Some(unit.to_owned())
}

/// Becomes this program anew, as it is on disk now, with the same arguments and environment. Returns only if that
/// does not work.
pub(crate) fn again() -> std::io::Error {
    let program = match std::env::current_exe() {
        Ok(path) => path,
        Err(error) => return error,
    };
    // The kernel's word for a program that was replaced by a newer one.
    let path = program.as_os_str().as_bytes();
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    Command::new(OsString::from_vec(path.to_vec())).args(std::env::args_os().skip(1)).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_found_where_there_is_one() {
        let of = |path: &str| user_service(&format!("1:name=x:/\n0::{path}\n"));
        let service = "/user.slice/user-1000.slice/user@1000.service/app.slice/carcin-tg.service";
        assert_eq!(of(service).as_deref(), Some("carcin-tg.service"));
        assert_eq!(of("/user.slice/user-1000.slice/user@1000.service/app.slice/term.scope"), None);
        assert_eq!(of("/user.slice/user-1000.slice/session-3.scope"), None);
        assert_eq!(of("/system.slice/carcin-tg.service"), None, "not the user's to restart");
        assert_eq!(of("/"), None);
    }
}
