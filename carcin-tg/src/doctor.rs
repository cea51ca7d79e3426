//! `carcin-tg doctor`: a look at everything that the bot needs, one line each, and what to do where it is wrong.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use carcin_proto::client::{Client, ClientError};
use carcin_proto::request::Status;
use carcin_proto::{Reply, Request};
use tokio::time::timeout;

use crate::api::{Api, ApiError};
use crate::config::{Config, Flags};
use crate::fatal::Fatal;
use crate::{runtime, store};

/// How long Telegram, or carcind, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Its own version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What was looked at: fine, or not and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    what: String,
    remedy: Option<String>,
}

fn fine(what: impl Into<String>) -> Finding {
    Finding { what: what.into(), remedy: None }
}

fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { what: what.into(), remedy: Some(remedy.into()) }
}

/// Prints what there is to say. Exit code 1: something is wrong.
pub(crate) fn main(flags: Flags) -> ExitCode {
    let findings = match Config::resolve(flags, &|name| std::env::var(name).ok()) {
        Ok(config) => match runtime() {
            Ok(runtime) => runtime.block_on(examine(&config)),
            Err(fatal) => vec![unfit(&fatal)],
        },
        Err(fatal) => vec![unfit(&fatal)],
    };
    print!("{}", render(&findings));
    if findings.iter().any(|finding| finding.remedy.is_some()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn unfit(fatal: &Fatal) -> Finding {
    wrong(fatal.to_string(), fatal.hint().unwrap_or("look at the rest when this is put right"))
}

fn render(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let mark = if finding.remedy.is_some() { '✗' } else { '✓' };
        let _ = writeln!(out, "{mark} {}", finding.what);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(out, "  → {remedy}");
        }
    }
    out
}

async fn examine(config: &Config) -> Vec<Finding> {
    let ids = config.gate.ids().map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
    let mut findings = vec![fine(format!("allowed to talk to the bot: {ids}"))];
    findings.extend(telegram(config).await);
    findings.extend(daemon(config).await);
    findings.push(database(config));
    findings
}

async fn telegram(config: &Config) -> Vec<Finding> {
    let api = match Api::new(&config.token, config.api_url.as_deref()) {
        Ok(api) => api,
        Err(error) => return vec![wrong(error.to_string(), "check TELEGRAM_API_URL")],
    };
    let me = match timeout(PATIENCE, api.me()).await {
        Ok(Ok(me)) => fine(format!("Telegram knows the bot: @{}", me.username)),
        Ok(Err(ApiError::Unauthorized)) => {
            return vec![wrong(
                "Telegram refuses the bot token",
                "get the current one from @BotFather, with /token",
            )];
        }
        Ok(Err(error)) => {
            return vec![wrong(error.to_string(), "check the network, and TELEGRAM_API_URL if it is set")];
        }
        Err(_) => {
            return vec![wrong(
                "Telegram does not answer",
                "check the network, and TELEGRAM_API_URL if it is set",
            )];
        }
    };
    let webhook = match timeout(PATIENCE, api.webhook()).await {
        Ok(Ok(None)) => fine("no webhook is set"),
        Ok(Ok(Some(_))) => wrong(
            "a webhook is set for the bot, so that it gets no messages",
            "remove it: call deleteWebhook of the Bot API, or whatever set it sets it again",
        ),
        _ => wrong("Telegram does not say whether a webhook is set", "try it again"),
    };
    vec![me, webhook]
}

async fn daemon(config: &Config) -> Vec<Finding> {
    let socket = config.socket.display();
    let asked = timeout(PATIENCE, async {
        let mut client = Client::connect(&config.socket, "carcin-tg", VERSION).await?;
        client.request(&Request::Status).await
    });
    match asked.await {
        Ok(Ok(Reply::Status(status))) => judge(&status),
        Ok(Err(ClientError::NotRunning { .. })) => vec![wrong(
            format!("carcind is not running: nobody listens at {socket}"),
            "start it: systemctl --user start carcind; or name its socket with CARCIN_SOCKET",
        )],
        Ok(Err(error)) => vec![wrong(
            format!("carcind at {socket}: {error}"),
            "look at its log: journalctl --user -u carcind",
        )],
        Ok(Ok(_)) | Err(_) => vec![wrong(
            format!("carcind at {socket} does not answer"),
            "look at its log: journalctl --user -u carcind",
        )],
    }
}

fn judge(status: &Status) -> Vec<Finding> {
    let mut findings = vec![fine(format!("carcind {} runs, pid {}", status.version, status.pid))];
    if status.version != VERSION {
        findings.push(wrong(
            format!("carcin-tg is {VERSION}, carcind is {}", status.version),
            "install both of one version, then restart both",
        ));
    }
    findings.push(match (&status.claude.path, &status.claude.version) {
        (Some(path), Some(version)) => fine(format!("Claude Code {version} at {}", path.display())),
        (Some(path), None) => fine(format!("Claude Code at {}", path.display())),
        (None, _) => wrong(
            "carcind finds no Claude Code",
            "install it, or set CLAUDE_PATH in carcind's environment, then restart carcind",
        ),
    });
    let problems =
        status.problems.iter().map(|problem| wrong(problem.clone(), "carcin-ctl status says more"));
    findings.extend(problems);
    findings
}

fn database(config: &Config) -> Finding {
    let path = config.dir.join(format!("{}.db", config.token.bot()));
    let shown = path.display();
    match store::inspect(&path) {
        Ok(Some(version)) => fine(format!("the database {shown} is whole, version {version}")),
        Ok(None) => fine("there is no database yet: the first start makes it"),
        Err(error @ store::StoreError::TooNew { .. }) => {
            wrong(error.to_string(), "install the newer carcin-tg again")
        }
        Err(error) => wrong(
            format!("{shown}: {error}"),
            "stop carcin-tg, put the file aside with those beside it, and start it: what was waiting is lost",
        ),
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::request::ClaudeStatus;
    use carcin_proto::{Millis, Seq};

    use super::*;

    #[test]
    fn each_line_says_what_is_wrong_and_what_to_do() {
        let status = |version: &str, path: Option<&str>| Status {
            version: version.into(),
            protocol: "1.0".into(),
            pid: 7,
            uptime_ms: Millis(0),
            socket: "/run/carcind.sock".into(),
            last_seq: Seq(0),
            claude: ClaudeStatus { path: path.map(Into::into), version: Some("2.1.330".into()) },
            conversations: vec![],
            clients: vec![],
            problems: if path.is_none() { vec!["the disk is nearly full".into()] } else { vec![] },
        };
        let good = judge(&status(VERSION, Some("/usr/bin/claude")));
        assert!(good.iter().all(|finding| finding.remedy.is_none()));
        let bad = judge(&status("0.0.7", None));
        let fatal = Fatal::Config { message: "there is no bot token".into(), hint: "get one".into() };
        let shown = [render(&good), render(&bad), render(&[unfit(&fatal)])].join("\n");
        insta::assert_snapshot!(shown.replace(VERSION, "VERSION"));
    }
}
