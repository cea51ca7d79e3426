//! What Claude offers to choose from. All conversations have the same Claude Code, so what one of them is told holds
//! for all; and it is kept in a file, so that it is known before the first Claude of this daemon runs. Losing it costs
//! nothing but that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use carcin_proto::inquiry::Abilities;
use serde::{Deserialize, Serialize};

use crate::claude::{self, Init};

/// What Claude has told of itself.
#[derive(Debug)]
pub(super) enum Reported {
    /// All of it.
    All(Abilities),
    /// Its commands, at the beginning of a turn.
    Turn(Box<Init>),
}

/// What is known.
#[derive(Debug, Clone)]
pub struct SharedAbilities(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    known: Mutex<State>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    abilities: Abilities,
    /// The commands for a terminal alone, as told last: a Claude that is taken up tells all of them again, and which
    /// these are only with its next turn.
    #[serde(default)]
    terminal_commands: Vec<String>,
}

impl SharedAbilities {
    /// As the last daemon left it.
    pub fn load(state_dir: &Path) -> Self {
        let path = state_dir.join("abilities.json");
        let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known = Mutex::new(read.unwrap_or_default());
        Self(Arc::new(Inner { path, known, writing: Mutex::default() }))
    }

    /// What is known by now.
    pub fn get(&self) -> Abilities {
        self.state().abilities
    }

    fn state(&self) -> State {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in what Claude has told. Keeps it too, if it is news, without waiting for that.
    pub(super) fn learn(&self, told: Reported) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.clone();
        match told {
            Reported::All(abilities) => {
                known.abilities = abilities;
                // It does not say which commands are for a terminal.
                let turn = Init { terminal_commands: known.terminal_commands.clone(), ..Init::default() };
                claude::take_in(&mut known.abilities, &turn);
            }
            Reported::Turn(init) => {
                claude::take_in(&mut known.abilities, &init);
                known.terminal_commands = init.terminal_commands;
            }
        }
        if *known != before {
            let this = self.clone();
            drop(known);
            tokio::task::spawn_blocking(move || this.keep());
        }
    }

    fn keep(&self) {
        let _writing = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let temporary = self.0.path.with_extension("new");
        let kept = serde_json::to_vec(&self.state())
            .map_err(std::io::Error::other)
            .and_then(|bytes| fs::write(&temporary, bytes))
            .and_then(|()| fs::rename(&temporary, &self.0.path));
        if let Err(error) = kept {
            tracing::debug!(%error, "what Claude offers is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::inquiry::CommandInfo;

    use super::*;

    fn command(name: &str) -> CommandInfo {
        CommandInfo { name: name.to_owned(), description: "says".to_owned(), argument_hint: String::new() }
    }

    #[tokio::test]
    async fn what_was_told_is_known_to_the_next_daemon() {
        let dir = tempfile::tempdir().expect("a directory");
        let known = SharedAbilities::load(dir.path());
        assert_eq!(known.get(), Abilities::default());
        let all = || Abilities { models: vec![], commands: vec![command("a"), command("terminal")] };
        known.learn(Reported::All(all()));
        let terminal_commands = vec!["terminal".to_owned()];
        known.learn(Reported::Turn(Box::new(Init { terminal_commands, ..Init::default() })));
        known.learn(Reported::All(all()));
        assert_eq!(known.get().commands, [command("a")]);
        known.keep();
        let next = SharedAbilities::load(dir.path());
        assert_eq!(next.get().commands, [command("a")]);
        // A Claude that goes on tells all of it anew.
        next.learn(Reported::All(all()));
        assert_eq!(next.get().commands, [command("a")]);
    }

    #[test]
    fn a_file_that_is_none_of_ours_costs_nothing_but_what_was_in_it() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("abilities.json"), "{").expect("a file");
        assert_eq!(SharedAbilities::load(dir.path()).get(), Abilities::default());
    }
}
