//! Two streams that look like one: Claude's words go to standard output, what happens meanwhile to standard error.
//! So a pipe gets the words alone, and a terminal both in order.

use std::io::{self, Write};

use super::style::Style;
use super::text::{cut, lines};
use super::turn::Piece;

pub(super) struct Screen<O, E> {
    out: O,
    err: E,
    out_style: Style,
    err_style: Style,
    /// The words shown so far end with their line.
    at_start: bool,
    /// A line that the next piece replaces is on the screen.
    status: bool,
}

impl<O: Write, E: Write> Screen<O, E> {
    pub(super) fn new(out: O, err: E, out_style: Style, err_style: Style) -> Self {
        Self { out, err, out_style, err_style, at_start: true, status: false }
    }

    pub(super) fn show(&mut self, piece: Piece) -> io::Result<()> {
        self.clear_status()?;
        match piece {
            Piece::Text(text) => {
                self.at_start = text.ends_with('\n');
                // A file gets the words as they are, a terminal without what would move its cursor.
                let text = if self.out_style.terminal { lines(&text) } else { text };
                self.out.write_all(text.as_bytes())?;
                self.out.flush()
            }
            Piece::Line(line) => {
                if !self.at_start && self.out_style.terminal {
                    self.err.write_all(b"\n")?;
                    self.at_start = true;
                }
                writeln!(self.err, "{line}")?;
                self.err.flush()
            }
            Piece::Status(status) if self.err_style.terminal && self.at_start => {
                // A status as wide as the screen would wrap, and not be cleared as a whole.
                let status = cut(&status, self.err_style.width - 3);
                write!(self.err, "{}", self.err_style.dim(&format!("… {status}")))?;
                self.status = true;
                self.err.flush()
            }
            Piece::Status(_) => Ok(()),
        }
    }

    /// Leaves the screen as a shell wants it.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.clear_status()?;
        if !self.at_start {
            self.out.write_all(b"\n")?;
            self.at_start = true;
        }
        self.out.flush()
    }

    fn clear_status(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.status) { self.err.write_all(b"\r\x1b[K") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Style = Style::FILE;

    fn shown(out_style: Style, err_style: Style, pieces: &[Piece]) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen::new(&mut out, &mut err, out_style, err_style);
        for piece in pieces {
            screen.show(piece.clone()).unwrap();
        }
        screen.finish().unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn pieces() -> [Piece; 4] {
        [
            Piece::Text("Hel\x1b[2Jlo".into()),
            Piece::Line("a notice".into()),
            Piece::Status("Bash ls".into()),
            Piece::Text(" world\n".into()),
        ]
    }

    #[test]
    fn a_pipe_gets_the_words_alone() {
        let (out, err) = shown(FILE, FILE, &pieces());
        assert_eq!(out, "Hel\x1b[2Jlo world\n");
        assert_eq!(err, "a notice\n");
    }

    #[test]
    fn a_terminal_gets_both_without_what_moves_its_cursor() {
        let (out, err) = shown(Style::PLAIN, Style::PLAIN, &pieces());
        assert_eq!(out, "Hel[2Jlo world\n");
        assert_eq!(err, "\na notice\n… Bash ls\r\x1b[K");
    }

    #[test]
    fn the_last_line_is_ended() {
        assert_eq!(shown(FILE, FILE, &[Piece::Text("half".into())]).0, "half\n");
    }
}
