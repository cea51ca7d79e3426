//! Choosing a session to go on with.

use carcin_proto::Millis;
use carcin_proto::request::{ListedSession, OpenElsewhere, SessionList};
use serde::{Deserialize, Serialize};

use super::{Action, What, button, numbered};
use crate::markdown::{Text, TextBuilder};
use crate::message::Button;
use crate::view::phrases::{ago, one_line};

/// Sessions on a page.
pub const PAGE: u32 = 5;
/// The longest title, in characters.
const TITLE: usize = 80;
/// The longest place, in characters.
const PLACE: usize = 60;

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPage {
    /// How many come before it.
    pub offset: u32,
    /// How many there are.
    pub total: u32,
    /// Those of this page.
    pub sessions: Vec<Shown>,
}

/// A session as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its id.
    pub session: String,
    /// Its title or else its first prompt.
    pub title: String,
    /// The folder and the branch; may be empty.
    pub place: String,
    /// How long ago it was used.
    pub age: String,
    /// Who has it; may be empty.
    pub held: String,
    /// It is this conversation's.
    pub here: bool,
}

impl SessionPage {
    /// A page of the daemon's, seen from the conversation `here`, at the moment `now`.
    pub fn new(offset: u32, list: &SessionList, here: &str, now: Millis) -> Self {
        let sessions = list.sessions.iter().map(|listed| Shown::new(listed, here, now)).collect();
        Self { offset, total: list.total, sessions }
    }

    pub(super) fn render(&self, data: &dyn Fn(&str) -> String) -> (Text, Vec<Vec<Button>>) {
        let mut text = TextBuilder::new();
        if self.sessions.is_empty() {
            text.push("There are no sessions yet. The next message begins one.");
            return (text.build(), Vec::new());
        }
        let count = u32::try_from(self.sessions.len()).unwrap_or(PAGE);
        text.bold("Sessions").push(&format!(", {} to {}", self.offset + 1, self.offset + count));
        text.push(&format!(" of {}. A number goes on with one.", self.total));
        for (index, session) in self.sessions.iter().enumerate() {
            text.blank_line().bold(&format!("{} ", index + 1)).push(&session.title);
            text.newline().push(&session.age);
            if !session.place.is_empty() {
                text.push(" · ").push(&session.place);
            }
            if !session.held.is_empty() {
                text.newline().push(&session.held);
            }
            text.newline().code(session.session.get(..8).unwrap_or(&session.session));
        }
        let numbers = self.sessions.iter().enumerate().filter(|(_, session)| !session.here);
        let mut rows: Vec<Vec<Button>> = vec![
            numbers.map(|(index, _)| button((index + 1).to_string(), data(&format!("s{index}")))).collect(),
        ];
        let mut way = Vec::new();
        if self.offset > 0 {
            way.push(button("◀ Later", data(&format!("p{}", self.offset.saturating_sub(PAGE)))));
        }
        if self.offset + count < self.total {
            way.push(button("Earlier ▶", data(&format!("p{}", self.offset + count))));
        }
        rows.push(way);
        rows.retain(|row| !row.is_empty());
        (text.build(), rows)
    }

    pub(super) fn press(&self, argument: &str) -> Option<Action> {
        if let Some(index) = numbered(argument, "s") {
            let session = self.sessions.get(index)?;
            return Some(Action::Resume {
                session: session.session.clone(),
                title: session.title.clone(),
                force: false,
            });
        }
        numbered(argument, "p").and_then(|offset| u32::try_from(offset).ok()).map(Action::Page)
    }
}

impl Shown {
    fn new(listed: &ListedSession, here: &str, now: Millis) -> Self {
        let session = &listed.summary;
        let title =
            [session.title.as_str(), listed.first_prompt.as_deref().unwrap_or_default(), "(no title)"]
                .into_iter()
                .find(|title| !title.trim().is_empty())
                .unwrap_or_default();
        let folder = session.cwd.as_deref().map(|cwd| cwd.to_string_lossy().into_owned()).unwrap_or_default();
        let branch = session.branch.as_deref().filter(|branch| !branch.is_empty());
        let branch = branch.map(|branch| format!(" ({branch})")).unwrap_or_default();
        let is_here = session.conversation.as_ref().is_some_and(|key| key.as_str() == here);
        let held = match (&session.conversation, listed.open.first()) {
            (_, Some(open)) => format!("⚠️ {}", open_elsewhere(open)),
            (Some(_), None) if is_here => "▶️ here".to_owned(),
            (Some(key), None) if key.as_str().starts_with("tg:") => "▶️ in another chat".to_owned(),
            (Some(key), None) => format!("▶️ in the conversation {key}"),
            (None, None) => String::new(),
        };
        Self {
            session: session.session.to_string(),
            title: one_line(title, TITLE),
            place: one_line(&format!("{folder}{branch}"), PLACE),
            age: ago(session.modified, now),
            held,
            here: is_here,
        }
    }
}

/// Where a session is open.
fn open_elsewhere(open: &OpenElsewhere) -> String {
    let place = if open.entrypoint == "cli" { "in a terminal" } else { "elsewhere" };
    format!("open {place}, pid {}", open.pid)
}

/// A session that is open elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOver {
    /// Its id, or the beginning of it.
    pub session: String,
    /// What it is called.
    pub title: String,
    /// Why it was refused.
    pub why: String,
}

impl TakeOver {
    pub(super) fn render(&self, data: &dyn Fn(&str) -> String) -> (Text, Vec<Vec<Button>>) {
        let mut text = TextBuilder::new();
        text.push("⚠️ ").push(&self.why).newline();
        text.push("If both go on with it, its history splits in two. Close it there first, or take it over.");
        let rows = vec![vec![button("Take it over", data("y")), button("Leave it", data("n"))]];
        (text.build(), rows)
    }

    pub(super) fn press(&self, argument: &str) -> Option<Action> {
        match argument {
            "y" => {
                Some(Action::Resume { session: self.session.clone(), title: self.title.clone(), force: true })
            }
            "n" => Some(Action::Show(What::Closed("The session was left where it is".to_owned()))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use carcin_proto::request::SessionSummary;

    use super::super::{Picker, shown};
    use super::*;

    fn session(id: &str, title: &str) -> ListedSession {
        let summary = SessionSummary {
            session: id.parse().expect("an id"),
            title: title.into(),
            cwd: Some("/home/ann/app".into()),
            branch: Some("main".into()),
            modified: Millis(1_000_000),
            size: 1,
            conversation: None,
        };
        ListedSession { summary, first_prompt: None, open: vec![] }
    }

    #[test]
    fn sessions_say_what_tells_them_apart() {
        let mut mine = session("0b5d1111-aaaa", "Fix the tests");
        mine.summary.conversation = Some("tg:1".parse().expect("a key"));
        let mut open = session("0b5d2222-aaaa", "");
        open.first_prompt = Some("please look\nat this".into());
        open.open.push(OpenElsewhere {
            pid: 77,
            cwd: None,
            since: Millis(0),
            entrypoint: "cli".into(),
            status: "busy".into(),
        });
        let mut bare = session("0b5d3333-aaaa", "");
        bare.summary.cwd = None;
        bare.summary.branch = None;
        let list = SessionList { total: 12, sessions: vec![mine, open, bare] };
        let page = SessionPage::new(5, &list, "tg:1", Millis(4_700_000));
        let none = SessionList { total: 0, sessions: vec![] };
        let take = TakeOver {
            session: "0b5d".into(),
            title: "Fix".into(),
            why: "the session 0b5d is open in a terminal (pid 77)".into(),
        };
        let all = [
            shown(&Picker::new(What::Sessions(page.clone()))),
            shown(&Picker::new(What::Sessions(SessionPage::new(0, &none, "tg:1", Millis(0))))),
            shown(&Picker::new(What::TakeOver(take.clone()))),
        ];
        insta::assert_snapshot!(all.join("\n\n"));
        let resumed = page.press("s1");
        let expected = Action::Resume {
            session: "0b5d2222-aaaa".into(),
            title: "please look at this".into(),
            force: false,
        };
        assert_eq!(resumed, Some(expected));
        assert_eq!((page.press("p8"), page.press("s3")), (Some(Action::Page(8)), None));
        assert!(matches!(take.press("y"), Some(Action::Resume { force: true, .. })));
    }
}
