//! Settings: what there is to choose from, and what was chosen.

use carcin_proto::request::Configure;
use carcin_proto::{Reply, Request};

use super::{Desk, Handled};
use crate::commands::Setting;
use crate::link::AskError;
use crate::markdown::Text;
use crate::place::Place;
use crate::store::StoreError;
use crate::store::inbox::{End, Row};
use crate::view::picker::{Choice, What};

impl Desk {
    /// What there is to choose from for a setting.
    async fn choice(&self, place: Place, setting: Setting) -> Result<Choice, AskError> {
        match self.look(Request::About(place.conversation())).await {
            Ok(Reply::About(about)) => Ok(Choice::of(setting, Some(&about))),
            Err(error @ AskError::Away { .. }) => Err(error),
            Ok(_) | Err(AskError::Refused(_)) => Ok(Choice::of(setting, None)),
        }
    }

    pub(super) async fn choose(
        &self,
        row: &Row,
        place: Place,
        setting: Setting,
    ) -> Result<Handled, StoreError> {
        match self.patiently(row, place, self.choice(place, setting)).await? {
            Ok(choice) => self.offer(row.id, End::Accepted, place, What::Choice(choice)).await,
            Err(error) => self.no_answer(row, place, Err(error)).await,
        }
    }

    pub(super) async fn set(
        &self,
        row: &Row,
        place: Place,
        setting: Setting,
        typed: &str,
    ) -> Result<Handled, StoreError> {
        let setting_it = async {
            let value =
                self.choice(place, setting).await.map_or_else(|_| typed.to_owned(), |c| c.meant(typed));
            (self.look(configure(place, setting, &value)).await, value)
        };
        match self.patiently(row, place, setting_it).await? {
            (Ok(_), value) => {
                self.reply(row.id, End::Accepted, place, Text::plain(&Choice::done(setting, &value))).await
            }
            (other, _) => self.no_answer(row, place, other).await,
        }
    }
}

/// The request that sets it.
pub(super) fn configure(place: Place, setting: Setting, value: &str) -> Request {
    let when = |wanted: Setting| (setting == wanted).then(|| value.to_owned());
    Request::Configure(Configure {
        conversation: place.conversation(),
        model: when(Setting::Model),
        permission_mode: when(Setting::Mode),
        effort: when(Setting::Effort),
    })
}
