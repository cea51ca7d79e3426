//! `carcin-ctl stop`

use std::process::ExitCode;

use carcin_proto::request::{Stop, Stopped};
use carcin_proto::{ConversationKey, Reply, Request};

use super::context::{Context, by};
use super::error::CtlError;
use super::output::{print, print_json};
use super::text::count;

pub(super) async fn run(context: &Context) -> Result<ExitCode, CtlError> {
    let conversation = context.conversation().await?;
    let request = Request::Stop(Stop { conversation: conversation.clone(), by: by() });
    let stopped = match context.ask(&request).await? {
        Reply::Stopped(stopped) => stopped,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&stopped)?;
    } else {
        print(&render(&conversation, &stopped))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(conversation: &ConversationKey, stopped: &Stopped) -> String {
    let cancelled = match stopped.cancelled.len() {
        0 => String::new(),
        prompts => format!("; {} cancelled", count(prompts, "prompt")),
    };
    let what = if stopped.was_running { "stopped" } else { "no turn was running" };
    format!("{conversation}: {what}{cancelled}\n")
}

#[cfg(test)]
mod tests {
    use carcin_proto::PromptId;

    use super::*;

    #[test]
    fn a_stop_says_what_it_did() {
        let key = ConversationKey::new("tg:7").unwrap();
        let nothing = Stopped { was_running: false, cancelled: vec![] };
        let all = Stopped { was_running: true, cancelled: vec![PromptId::random(), PromptId::random()] };
        assert_eq!(render(&key, &nothing), "tg:7: no turn was running\n");
        assert_eq!(render(&key, &all), "tg:7: stopped; 2 prompts cancelled\n");
    }
}
