//! Many measurements to one line of a table.

use std::fmt::Write as _;

use serde::Serialize;

/// A figure: what was measured, how often, and how it came out.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What.
    pub name: String,
    /// In what: `ms`, `MB`, …
    pub unit: &'static str,
    /// How often.
    pub runs: usize,
    /// Half of the measurements are below this.
    pub median: f64,
    /// One in ten is below this.
    pub p10: f64,
    /// One in ten is above this.
    pub p90: f64,
    /// One in a hundred is above this.
    pub p99: f64,
    /// What the median should be.
    pub aim: Option<f64>,
    /// What `p99` should be.
    pub aim_p99: Option<f64>,
}

impl Figure {
    /// From all measurements.
    pub(super) fn of(name: &str, unit: &'static str, aim: Option<f64>, mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let at =
            |part: usize| all.get((all.len().saturating_sub(1)) * part / 100).copied().unwrap_or(f64::NAN);
        Self {
            name: name.to_owned(),
            unit,
            runs: all.len(),
            median: at(50),
            p10: at(10),
            p90: at(90),
            p99: at(99),
            aim,
            aim_p99: None,
        }
    }

    /// The same, where one in a hundred may be above this.
    pub(super) fn with_p99(self, aim: f64) -> Self {
        Self { aim_p99: Some(aim), ..self }
    }

    /// The same, measured under these circumstances.
    pub(super) fn with(mut self, circumstances: &str) -> Self {
        self.name.push_str(circumstances);
        self
    }
}

/// The figures for people.
pub fn table(figures: &[Figure]) -> String {
    let name = |figure: &Figure| format!("{} ({})", figure.name, figure.unit);
    let width = figures.iter().map(|figure| name(figure).len()).max().unwrap_or(0);
    let mut out = format!(
        "{:<width$} {:>6} {:>10} {:>10} {:>10} {:>10} {:>7} {:>7}\n",
        "", "runs", "median", "p10", "p90", "p99", "aim", "aim p99"
    );
    for figure in figures {
        let shown = |aim: Option<f64>| aim.map_or(String::new(), |aim| format!("{aim}"));
        let _ = writeln!(
            out,
            "{:<width$} {:>6} {:>10.3} {:>10.3} {:>10.3} {:>10.3} {:>7} {:>7}",
            name(figure),
            figure.runs,
            figure.median,
            figure.p10,
            figure.p90,
            figure.p99,
            shown(figure.aim),
            shown(figure.aim_p99)
        );
    }
    out
}
