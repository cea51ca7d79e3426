//! The bot's token: a secret that shows itself to nobody.

use std::fmt;

/// What stands in for a secret.
const REDACTED: &str = "[redacted]";

/// A bot token, `<bot id>:<secret>`. Its `Debug` and `Display` show only the bot.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    whole: String,
    bot: i64,
}

impl Token {
    /// Takes the token if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let whole = text.trim();
        let (bot, secret) = whole.split_once(':')?;
        let is_secret = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let valid =
            !secret.is_empty() && secret.chars().all(is_secret) && bot.bytes().all(|b| b.is_ascii_digit());
        Some(Self { bot: bot.parse().ok().filter(|_| valid)?, whole: whole.to_owned() })
    }

    /// The bot's id: the part that is no secret.
    pub fn bot(&self) -> i64 {
        self.bot
    }

    /// The secret itself, for the one place that talks to Telegram.
    pub fn expose(&self) -> &str {
        &self.whole
    }

    /// `text` without the token: URLs contain it, and errors contain URLs.
    pub fn scrub(&self, text: &str) -> String {
        let (_, secret) = self.whole.split_once(':').expect("checked when it was parsed");
        text.replace(secret, REDACTED)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{REDACTED}", self.bot)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_itself_nowhere() {
        let token = Token::parse(" 42:AAF-secret_x\n").expect("a token");
        assert_eq!(token.bot(), 42);
        assert_eq!(token.expose(), "42:AAF-secret_x");
        let url = "error for url (https://api.telegram.org/bot42%3AAAF-secret_x/getMe)";
        for text in [format!("{token}"), format!("{token:?}"), token.scrub(url)] {
            assert!(!text.contains("AAF") && text.contains(REDACTED), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "42", "42:", ":abc", "x:abc", "42:a b", "42:ä"] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
