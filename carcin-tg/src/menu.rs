//! Telegram's menu of commands: Carcin's own, and below them those of Claude.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::client::Backoff;
use carcin_proto::inquiry::CommandInfo;
use carcin_proto::{ConversationKey, Reply, Request};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::api::{Api, ApiError};
use crate::commands::MENU;
use crate::fatal::Fatal;
use crate::link::Daemon;
use crate::store::{Store, StoreError, claude_commands};

/// The most commands that Telegram takes.
const MAX_COMMANDS: usize = 100;
/// The longest name.
const MAX_NAME: usize = 32;
/// The longest description shown; Telegram takes more, but refuses a menu that is large as a whole.
const MAX_DESCRIPTION: usize = 80;

/// What a command of Claude's is called in Telegram, where only letters, digits and `_` are legal. `None`: it
/// cannot be said there.
pub fn telegram_name(claude: &str) -> Option<String> {
    let name: String =
        claude.chars().map(|c| if c == '-' || c == ':' { '_' } else { c.to_ascii_lowercase() }).collect();
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.len() <= MAX_NAME && name.chars().all(legal)).then_some(name)
}

/// The command of Claude's that somebody means by `typed`: of this very name, else the first one that Telegram's
/// menu shows under it.
pub fn meant<'a>(known: impl IntoIterator<Item = &'a str> + Clone, typed: &str) -> Option<&'a str> {
    let same = known.clone().into_iter().find(|name| *name == typed);
    let typed = typed.to_ascii_lowercase();
    same.or_else(|| known.into_iter().find(|name| telegram_name(name).as_deref() == Some(&typed)))
}

/// The whole menu, with `claude`'s commands below ours.
pub fn compose(claude: &[(String, String)]) -> Vec<(String, String)> {
    let mut menu: Vec<(String, String)> =
        MENU.iter().map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned())).collect();
    let mut taken: BTreeSet<String> = menu.iter().map(|(name, _)| name.clone()).collect();
    for (name, description) in claude {
        let Some(name) = telegram_name(name) else { continue };
        if menu.len() == MAX_COMMANDS {
            break;
        }
        if taken.insert(name.clone()) {
            menu.push((name, described(description)));
        }
    }
    menu
}

fn described(description: &str) -> String {
    let line = description.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() {
        0 => "Of Claude's".to_owned(),
        length if length <= MAX_DESCRIPTION => line,
        _ => line.chars().take(MAX_DESCRIPTION - 1).chain(['…']).collect(),
    }
}

/// Keeps Telegram's menu as it should be until it is cancelled. `heard` tells of which conversation something
/// was heard last: its Claude may know other commands now.
pub async fn keep(
    api: Api,
    store: Store,
    daemon: Daemon,
    mut heard: watch::Receiver<Option<ConversationKey>>,
    cancel: CancellationToken,
) -> Result<(), Fatal> {
    let mut shown = None;
    loop {
        let latest = heard.borrow_and_update().clone();
        let kept = async {
            if let Some(conversation) = latest {
                refresh(&store, &daemon, conversation).await?;
            }
            show(&api, &store, &mut shown).await
        };
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            kept = kept => if let Err(error) = kept {
                warn!("Claude's commands are not known: {error}");
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            changed = heard.changed() => if changed.is_err() {
                cancel.cancelled().await;
                return Ok(());
            }
        }
    }
}

/// Asks what the conversation's Claude can be told. Where nobody knows, what was known stays.
async fn refresh(store: &Store, daemon: &Daemon, conversation: ConversationKey) -> Result<(), StoreError> {
    let commands = match daemon.ask(&Request::About(conversation)).await {
        Ok(Reply::About(about)) => about.abilities.commands,
        Ok(_) => return Ok(()),
        Err(error) => {
            debug!("nobody says which commands Claude knows: {error:?}");
            return Ok(());
        }
    };
    remember(store, &commands).await
}

/// Stores Claude's commands, where they are not none.
async fn remember(store: &Store, commands: &[CommandInfo]) -> Result<(), StoreError> {
    if commands.is_empty() {
        return Ok(());
    }
    let commands: Vec<(String, String)> =
        commands.iter().map(|one| (one.name.clone(), one.description.clone())).collect();
    store.write(move |tx| claude_commands::replace(tx, &commands)).await
}

/// Puts the menu into Telegram, if it is not what is there.
async fn show(
    api: &Api,
    store: &Store,
    shown: &mut Option<Arc<Vec<(String, String)>>>,
) -> Result<(), StoreError> {
    let menu = Arc::new(compose(&store.read(claude_commands::all).await?));
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
    let mut wanted = Arc::clone(&menu);
    while shown.as_ref() != Some(&menu) {
        match api.set_commands(&wanted).await {
            Ok(()) => *shown = Some(Arc::clone(&menu)),
            Err(ApiError::BadRequest(why)) if wanted.len() > MENU.len() => {
                warn!("Telegram refuses Claude's commands: {why}");
                wanted = Arc::new(compose(&[]));
            }
            Err(ApiError::RetryAfter(wait)) => tokio::time::sleep(wait).await,
            Err(error) => {
                warn!("the commands are not in Telegram's menu yet: {error}");
                tokio::time::sleep(backoff.delay()).await;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), format!("Does {name}"))).collect()
    }

    #[test]
    fn claudes_commands_come_below_ours_under_legal_names() {
        let too_long = "x".repeat(33);
        let claude =
            named(&["code-review", "compact", "carcin:telegram-send", "Größe", &too_long, "code_review"]);
        let menu = compose(&claude);
        let names: Vec<&str> = menu[MENU.len()..].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["code_review", "carcin_telegram_send"]);
    }

    #[test]
    fn a_menu_is_never_larger_than_telegram_takes() {
        let many: Vec<(String, String)> = (0..200).map(|n| (format!("c{n}"), "x ".repeat(300))).collect();
        let menu = compose(&many);
        assert_eq!(menu.len(), MAX_COMMANDS);
        assert!(menu.iter().all(|(_, text)| !text.is_empty() && text.chars().count() <= MAX_DESCRIPTION));
    }

    #[test]
    fn a_name_of_the_menu_finds_its_way_back() {
        let known = ["code-review", "carcin:telegram-send", "init", "a_b", "a-b"];
        let meant = |typed: &str| meant(known, typed);
        assert_eq!(meant("code_review"), Some("code-review"));
        assert_eq!(meant("carcin_telegram_send"), Some("carcin:telegram-send"));
        assert_eq!(meant("Init"), Some("init"));
        assert_eq!(meant("a_b"), Some("a_b"), "its own name comes first");
        assert_eq!(meant("frobnicate"), None);
    }
}
