//! `getUpdates` and webhooks. A webhook is taken note of, which ends polling; the lab delivers nothing to it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Context};
use crate::telegram::error::ApiError;
use crate::telegram::hub::Hub;
use crate::telegram::params::Params;
use crate::telegram::state::LabState;
use crate::telegram::updates::{Poll, PollRequest};

/// Waits as long as the bot asked for, or until an update, a younger poll or a webhook ends it.
pub(in crate::telegram) async fn get_updates(hub: &Hub, params: &Params) -> Answer {
    let request = PollRequest {
        offset: params.int("offset").unwrap_or(0),
        limit: params.int("limit").unwrap_or(100),
        timeout: params.int("timeout").unwrap_or(0),
        allowed: allowed(params)?,
    };
    let begun = hub.write(|state| state.updates.begin(request, LabState::now()))?;
    let (ticket, limit, timeout) = match begun {
        Poll::Ready(updates) => return Ok(updates),
        Poll::Wait { ticket, limit, timeout } => (ticket, limit, timeout),
    };
    let ready = hub.until(|state| state.updates.ready(ticket).then_some(()));
    // Both ends are fine: what is there after the time is the answer.
    let _ = tokio::time::timeout(timeout, ready).await;
    match hub.write(|state| state.updates.resume(ticket, limit, LabState::now())) {
        Ok(updates) => Ok(updates),
        Err((error, hold)) => {
            if hold > Duration::ZERO {
                tokio::time::sleep(hold).await;
            }
            Err(error)
        }
    }
}

fn allowed(params: &Params) -> Result<Option<Vec<String>>, ApiError> {
    let value = params.json("allowed_updates", "allowed updates")?;
    let kinds = |value: Value| {
        serde_json::from_value(value).map_err(|_| ApiError::bad("can't parse allowed updates"))
    };
    value.map(kinds).transpose()
}

pub(super) fn set_webhook(context: &mut Context<'_>) -> Answer {
    let url = context.params.str("url");
    if url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
        return Err(ApiError::bad("bad webhook: An HTTPS URL must be provided for webhook"));
    }
    let allowed = allowed(context.params)?;
    context.state.updates.allow(allowed);
    context.state.updates.set_webhook(url, context.params.bool("drop_pending_updates"));
    Ok(json!(true))
}

#[allow(clippy::unnecessary_wraps, reason = "the table of methods has one signature")]
pub(super) fn delete_webhook(context: &mut Context<'_>) -> Answer {
    context.state.updates.set_webhook(None, context.params.bool("drop_pending_updates"));
    Ok(json!(true))
}

#[allow(clippy::unnecessary_wraps, reason = "the table of methods has one signature")]
pub(super) fn get_webhook_info(context: &mut Context<'_>) -> Answer {
    let updates = &context.state.updates;
    Ok(json!({
        "url": updates.webhook().unwrap_or_default(),
        "has_custom_certificate": false,
        "pending_update_count": updates.pending().count(),
    }))
}
