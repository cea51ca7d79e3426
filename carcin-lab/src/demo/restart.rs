//! The page's buttons: killing and starting Carcin's programs while Claude works.

use std::convert::Infallible;

use anyhow::{Context as _, bail};
use carcin_proto::{Reply, Request};
use tokio::sync::{mpsc, oneshot};

use crate::rig::Rig;
use crate::telegram::PageAction;

/// Presses that wait; who presses more often is told to wait.
const WAITING: usize = 4;

/// What a button restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Bot,
    Daemon,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Bot => "carcin-tg",
            Self::Daemon => "carcind",
        }
    }
}

/// A press, and who waits for what comes of it.
type Press = (Program, oneshot::Sender<anyhow::Result<String>>);

/// The end that the page has.
pub(super) struct Buttons(mpsc::Sender<Press>);

/// The end that has the rig.
pub(super) struct Presses(mpsc::Receiver<Press>);

impl Buttons {
    pub(super) fn new() -> (Self, Presses) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), Presses(receiver))
    }

    /// The buttons beside the phone.
    pub(super) fn actions(&self) -> Vec<PageAction> {
        let action = |id: &str, label: &str, program: Program| {
            let presses = self.0.clone();
            PageAction::new(id, label, move || press(presses.clone(), program))
        };
        vec![
            action("restart-bot", "Restart the bot", Program::Bot),
            action("restart-daemon", "Restart the daemon", Program::Daemon),
        ]
    }
}

async fn press(presses: mpsc::Sender<Press>, program: Program) -> anyhow::Result<String> {
    let (sender, receiver) = oneshot::channel();
    if presses.try_send((program, sender)).is_err() {
        bail!("a restart is under way");
    }
    receiver.await.context("the demo has ended")?
}

impl Presses {
    /// Does what is pressed, one after the other.
    pub(super) async fn serve(mut self, rig: &mut Rig) -> Infallible {
        loop {
            match self.0.recv().await {
                // Who pressed may have closed the page.
                Some((program, pressed)) => drop(pressed.send(restart(rig, program).await)),
                None => std::future::pending::<()>().await,
            }
        }
    }
}

/// Kills the program, starts it, and tells about it.
async fn restart(rig: &mut Rig, program: Program) -> anyhow::Result<String> {
    let before = claude(rig).await?;
    let (old, new) = match program {
        Program::Bot => {
            let old = rig.front.as_ref().map(crate::rig::Process::pid);
            rig.kill_front().await?;
            rig.restart_front().await?;
            (old, rig.front.as_ref().map(crate::rig::Process::pid))
        }
        Program::Daemon => {
            let old = rig.daemon.pid();
            rig.kill_daemon().await?;
            rig.restart_daemon().await?;
            (Some(old), Some(rig.daemon.pid()))
        }
    };
    let pid = |pid: Option<u32>| pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
    let killed = format!("kill -9 {} ({}), started again as {}.", program.name(), pid(old), pid(new));
    Ok(format!("{killed} {}", kept(before, claude(rig).await?)))
}

/// The owner's Claude process, if there is one.
async fn claude(rig: &Rig) -> anyhow::Result<Option<u32>> {
    let Reply::Status(status) = rig.request(&Request::Status).await? else {
        bail!("carcind did not tell its status");
    };
    let key = rig.owners_talk();
    Ok(status.conversations.iter().find(|one| one.key == *key.key()).and_then(|one| one.claude_pid))
}

/// What became of Claude meanwhile.
fn kept(before: Option<u32>, after: Option<u32>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {
            format!("Claude is the same process as before: {before}.")
        }
        (Some(before), Some(after)) => format!("Claude was process {before} and is now {after}."),
        (Some(before), None) => format!("Claude, process {before}, has ended."),
        (None, _) => "No Claude was running: try it again in the middle of a task.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_claude_is_what_happened() {
        assert_eq!(kept(Some(7), Some(7)), "Claude is the same process as before: 7.");
        assert_eq!(kept(Some(7), Some(8)), "Claude was process 7 and is now 8.");
        assert_eq!(kept(Some(7), None), "Claude, process 7, has ended.");
        assert!(kept(None, None).starts_with("No Claude was running"));
    }

    #[tokio::test]
    async fn a_press_beyond_those_that_wait_is_refused() {
        let (buttons, _presses) = Buttons::new();
        let waiting: Vec<_> =
            (0..WAITING).map(|_| tokio::spawn(press(buttons.0.clone(), Program::Bot))).collect();
        while buttons.0.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = press(buttons.0.clone(), Program::Bot).await.unwrap_err();
        assert_eq!(refused.to_string(), "a restart is under way");
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
