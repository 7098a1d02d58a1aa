//! How far a long command has come, on the terminal and only there.

use std::sync::Mutex;

use app::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error. Nothing is drawn where that is not a terminal.
#[derive(Debug, Default)]
pub struct Bar {
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress for Bar {
    fn begin(&self, step: &str, units: Option<u64>) {
        let bar = units.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let style = ProgressStyle::with_template("{msg:28} {wide_bar} {percent:>3} % {eta:>5}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(step.to_owned());
        if let Ok(mut current) = self.bar.lock() {
            *current = Some(bar);
        }
    }

    fn advance(&self, units: u64) {
        if let Ok(current) = self.bar.lock()
            && let Some(bar) = &*current
        {
            bar.inc(units);
        }
    }

    fn end(&self) {
        if let Ok(mut current) = self.bar.lock()
            && let Some(bar) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}
