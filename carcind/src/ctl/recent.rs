//! `carcin-ctl recent`

use std::process::ExitCode;

use carcin_proto::request::{Recent, RecentOf, RecentText};
use carcin_proto::{Millis, Reply, Request};
use jiff::tz::TimeZone;

use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::text::lines;
use super::time::age;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many texts, at most 100
    #[arg(value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// Of this session, also one of the terminal: its id, or the beginning of it [default: the conversation's]
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    let limit = args.limit;
    let request = match args.session {
        Some(session) => Request::RecentOf(RecentOf { session, limit }),
        None => Request::Recent(Recent { conversation: context.conversation().await?, limit }),
    };
    let texts = match context.ask(&request).await? {
        Reply::Recent(texts) => texts,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&texts)?;
    } else {
        print(&render(&texts, Millis::now(), &TimeZone::system(), context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(texts: &[RecentText], now: Millis, zone: &TimeZone, style: Style) -> String {
    if texts.is_empty() {
        return "Claude has not said anything here.\n".to_owned();
    }
    let texts = texts
        .iter()
        .map(|text| format!("{}\n{}\n", style.dim(&age(text.at, now, zone)), lines(text.text.trim_end())));
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart() {
        let texts = [
            RecentText { at: Millis(1_799_999_800_000), text: "First\n\nwith a line\n\n".into() },
            RecentText { at: Millis(1_800_000_000_000), text: "Second \x1b[2J".into() },
        ];
        insta::assert_snapshot!(render(&texts, Millis(1_800_000_000_000), &TimeZone::UTC, Style::PLAIN));
    }
}
