//! `/stop`.

use carcin_proto::request::{RefusalCode, Stop};
use carcin_proto::{Reply, Request};

use super::{Desk, Handled, control, refused};
use crate::link::AskError;
use crate::markdown::Text;
use crate::store::inbox::{self, End, Row};
use crate::store::{StoreError, Transaction};
use crate::update::Message;

impl Desk {
    pub(super) async fn stop(&self, row: &Row, message: &Message) -> Result<Handled, StoreError> {
        let (id, place, told) = (row.id, message.place, row.told);
        let stop = Stop { conversation: place.conversation(), by: message.from.name.clone() };
        let (was_running, cancelled) = match self.daemon.ask(&Request::Stop(stop)).await {
            Ok(Reply::Stopped(stopped)) => (stopped.was_running, stopped.cancelled.len()),
            Ok(_) => (true, 0),
            Err(AskError::Refused(refusal)) if refusal.code == RefusalCode::NoConversation => (false, 0),
            Err(AskError::Refused(refusal)) => {
                return self.reply(id, End::Refused, place, refused(&refusal)).await;
            }
            Err(AskError::Away { why, .. }) => {
                let waits = move |tx: &Transaction<'_>| {
                    if told {
                        return Ok(());
                    }
                    inbox::set_told(tx, id)?;
                    let text = format!("💤 {why}. The stop is kept and will be delivered.");
                    control(tx, place, &Text::plain(&text))
                };
                self.store.write(waits).await?;
                return Ok(Handled::Away);
            }
        };
        let stopped = move |tx: &Transaction<'_>| {
            let here = usize::try_from(inbox::cancelled_by(tx, id)?).unwrap_or_default();
            inbox::finish(tx, id, End::Accepted)?;
            control(tx, place, &Text::plain(&answer(was_running, cancelled + here)))
        };
        self.store.write(stopped).await?;
        Ok(Handled::Done)
    }
}

fn answer(was_running: bool, cancelled: usize) -> String {
    let waiting = match cancelled {
        0 => String::new(),
        1 => "1 waiting message is dropped".to_owned(),
        more => format!("{more} waiting messages are dropped"),
    };
    match (was_running, cancelled) {
        (true, 0) => "⏹ Stopped".to_owned(),
        (true, _) => format!("⏹ Stopped; {waiting}"),
        (false, 0) => "Nothing is running".to_owned(),
        (false, _) => format!("⏹ {waiting}; nothing was running"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_was_stopped() {
        let answers = [answer(true, 0), answer(true, 1), answer(false, 0), answer(false, 3)];
        insta::assert_snapshot!(answers.join("\n"), @r"
        ⏹ Stopped
        ⏹ Stopped; 1 waiting message is dropped
        Nothing is running
        ⏹ 3 waiting messages are dropped; nothing was running
        ");
    }
}
