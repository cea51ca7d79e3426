//! Colours, and how wide lines may be.

use std::env;
use std::io::{self, IsTerminal};

/// How wide a terminal is taken to be where nothing tells.
const WIDTH: usize = 80;

/// How a stream wants its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Somebody looks at it.
    pub(super) terminal: bool,
    colour: bool,
    /// The longest line, in columns.
    pub(super) width: usize,
}

impl Style {
    pub(super) fn of_stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    pub(super) fn of_stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    /// Colours on a terminal only, and not where `NO_COLOR` (no-color.org) or a dumb terminal asks for none. A file
    /// gets whole lines.
    fn of(terminal: bool) -> Self {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = if terminal { columns.unwrap_or(WIDTH).max(40) } else { usize::MAX };
        Self { terminal, colour: terminal && !set("NO_COLOR") && !dumb, width }
    }

    /// As on a terminal of 80 columns, without colours.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { terminal: true, colour: false, width: 80 };

    /// As in a file or a pipe.
    #[cfg(test)]
    pub(super) const FILE: Self = Self { terminal: false, colour: false, width: usize::MAX };

    /// As on a terminal of 80 columns, with colours.
    #[cfg(test)]
    pub(super) const COLOURED: Self = Self { terminal: true, colour: true, width: 80 };

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(super) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
