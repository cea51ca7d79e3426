//! The stand-in for Telegram alone: starts it, prints where it is, runs until interrupted.

use anyhow::Context as _;
use carcin_lab::logs;
use carcin_lab::telegram::{LabConfig, Limits, TelegramLab};
use clap::Parser;
use tracing::Level;

/// A Bot API server on loopback, with a chat page in the browser.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Port on 127.0.0.1; a free one by default.
    #[arg(long)]
    port: Option<u16>,
    /// The person who chats: user id and first name.
    #[arg(long, default_value_t = 1001)]
    user: i64,
    /// The person's first name.
    #[arg(long, default_value = "Alex")]
    name: String,
    /// Flood control as Telegram's, instead of a generous one.
    #[arg(long)]
    strict_limits: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    logs::start(Level::ERROR);
    let arguments = Arguments::parse();
    let config = LabConfig {
        port: arguments.port,
        users: vec![(arguments.user, arguments.name)],
        limits: if arguments.strict_limits { Limits::TELEGRAM } else { Limits::GENEROUS },
        ..LabConfig::default()
    };
    let lab = TelegramLab::start(config).await?;
    println!("page:  {}", lab.page_url());
    println!("api:   TELEGRAM_API_URL={}", lab.api_url());
    println!("token: TELEGRAM_BOT_TOKEN={}", lab.token());
    println!("user:  ALLOWED_USER_IDS={}", arguments.user);
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")
}
