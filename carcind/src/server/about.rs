//! All about one conversation, put together from who knows what. Nobody is waited for for long: what is not known in
//! time is left out.

use std::time::Duration;

use carcin_proto::event::{ConversationRecalled, Usage};
use carcin_proto::inquiry::About;
use carcin_proto::{Conversation, ConversationKey, Refusal, RefusalCode, Reply};
use tokio::time::timeout;

use super::Server;
use super::requests::{Answered, conversation_status};
use crate::conversation::Rest;
use crate::store::Filter;
use crate::worktree;

/// How long each of those who are asked may take.
const PATIENCE: Duration = Duration::from_millis(500);

impl Server {
    pub(super) async fn about(&self, key: ConversationKey) -> Answered {
        let snapshot = self.site.store.snapshot();
        let (known, usage) = match snapshot.conversations.get(&key) {
            Some(known) => {
                let rest = timeout(PATIENCE, self.rest(key.clone())).await;
                (known.clone(), rest.ok().and_then(Result::ok).flatten().and_then(|rest| rest.usage))
            }
            None => self.rest(key.clone()).await?.map_or_else(|| (self.unopened(), None), at_rest),
        };
        let mut status = conversation_status(&key, &known);
        let site = &self.site;
        status.model = status.model.or_else(|| site.model.clone());
        status.permission_mode = status.permission_mode.or_else(|| site.permission_mode.clone());
        let (title, branch) = tokio::join!(
            timeout(PATIENCE, self.title(&known)),
            timeout(PATIENCE, worktree::branch(&known.cwd)),
        );
        Ok(Reply::About(Box::new(About {
            status,
            effort: known.settings.effort.or_else(|| site.effort.clone()),
            title: title.ok().flatten(),
            branch: branch.ok().flatten(),
            tasks: known.tasks,
            queue: known.queue,
            usage,
            abilities: site.abilities.get(),
        })))
    }

    /// What its actor knows; `None`: nobody has opened it yet.
    async fn rest(&self, key: ConversationKey) -> Result<Option<Rest>, Refusal> {
        match self.conversations.find(key).await {
            Ok(handle) => handle.about().await.map(Some),
            Err(refusal) if refusal.code == RefusalCode::NoConversation => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// What a conversation would be.
    fn unopened(&self) -> Conversation {
        Conversation { cwd: self.site.working_dir.clone(), ..Conversation::default() }
    }

    async fn title(&self, known: &Conversation) -> Option<String> {
        let session = known.session.as_ref()?;
        let filter = Filter { cwd: None, search: Some(session.to_string()) };
        let (_, rows) = self.rows(filter, 0, 1).await.ok()?;
        let row = rows.into_iter().find(|row| row.session == *session)?;
        Some(row.title).filter(|title| !title.is_empty()).or(row.prompt)
    }
}

fn at_rest(rest: Rest) -> (Conversation, Option<Usage>) {
    let Rest { at_rest, usage, active_at } = rest;
    let ConversationRecalled { cwd, session, settings, todos, unrecognised } = at_rest;
    let known =
        Conversation { cwd, session, settings, todos, unrecognised, active_at, ..Conversation::default() };
    (known, usage)
}
