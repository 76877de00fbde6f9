//! Progress on standard error: a bar where somebody watches, plain lines where
//! the output goes to a file, nothing where a program asked for JSON.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Output, note};

/// One thing that takes a while.
#[derive(Debug)]
pub(super) enum Bar {
    Quiet,
    /// With the tenth that was told last.
    Lines(AtomicU64),
    Drawn(ProgressBar),
}

impl Bar {
    /// Something of which nobody knows how long it takes.
    pub(super) fn spinner(out: Output, what: &str) -> Self {
        let this = Self::kind(out);
        this.spin(what);
        this
    }

    fn spin(&self, what: &str) {
        if let Self::Drawn(bar) = self {
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
        }
    }

    /// So many bytes.
    pub(super) fn bytes(out: Output, total: u64) -> Self {
        let this = match Self::kind(out) {
            Self::Lines(_) => Self::Quiet,
            other => other,
        };
        this.count(total);
        this
    }

    fn count(&self, total: u64) {
        if let Self::Drawn(bar) = self {
            bar.set_style(
                ProgressStyle::with_template(
                    "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                )
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_length(total);
        }
    }

    fn kind(out: Output) -> Self {
        if out.json {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            Self::Drawn(ProgressBar::no_length())
        } else {
            Self::Lines(AtomicU64::new(0))
        }
    }

    /// A line that stays.
    pub(super) fn line(&self, text: &str) {
        match self {
            Self::Quiet => {}
            Self::Lines(_) => note(text),
            Self::Drawn(bar) => {
                bar.println(text);
                bar.set_message(text.to_owned());
            }
        }
    }

    /// How far something is; in files a line each tenth.
    pub(super) fn part(&self, what: &str, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
        match self {
            Self::Quiet => {}
            Self::Lines(told) => {
                let tenth = percent / 10;
                if told.fetch_max(tenth, Ordering::Relaxed) < tenth {
                    note(&format!("{what}: {percent} %"));
                }
            }
            Self::Drawn(bar) => bar.set_message(format!("{what}: {percent} %")),
        }
    }

    /// So many bytes more.
    pub(super) fn grew(&self, by: u64) {
        if let Self::Drawn(bar) = self {
            bar.inc(by);
        }
    }

    /// It is over; what was drawn goes away.
    pub(super) fn done(&self) {
        if let Self::Drawn(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.done();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal of 60 columns that keeps what was ever written, and what is
    /// on its last line.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<(String, String)>>);

    impl Screen {
        fn bar(&self) -> Bar {
            let target = ProgressDrawTarget::term_like(Box::new(self.clone()));
            Bar::Drawn(ProgressBar::with_draw_target(None, target))
        }

        fn ever(&self) -> String {
            self.0.lock().unwrap().0.clone()
        }

        fn now(&self) -> String {
            self.0.lock().unwrap().1.clone()
        }

        fn write(&self, text: &str) {
            let mut screen = self.0.lock().unwrap();
            screen.0.push_str(text);
            screen.1.push_str(text);
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            60
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write(text);
            self.0.lock().unwrap().1.clear();
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.write(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().1.clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn drawn(bar: &Bar) {
        let Bar::Drawn(bar) = bar else {
            unreachable!("it is drawn");
        };
        bar.force_draw();
    }

    #[test]
    fn what_is_drawn_says_how_far_it_is_and_goes_when_it_is_done() {
        let screen = Screen::default();
        let bar = screen.bar();
        bar.count(4 << 20);
        bar.grew(1 << 20);
        drawn(&bar);
        let shown = screen.now();
        assert!(shown.contains("1.00 MiB/4.00 MiB"), "{shown}");
        bar.grew(3 << 20);
        drawn(&bar);
        let shown = screen.now();
        assert!(shown.contains("4.00 MiB/4.00 MiB"), "{shown}");
        drop(bar);
        assert_eq!(screen.now().trim(), "");
    }

    #[test]
    fn what_is_told_stays_above_what_is_drawn() {
        let screen = Screen::default();
        let bar = screen.bar();
        bar.spin("hadoop");
        bar.line("building");
        bar.part("image", 1, 2);
        drawn(&bar);
        let shown = screen.now();
        assert!(shown.contains("hadoop"), "{shown}");
        assert!(shown.contains("image: 50 %"), "{shown}");
        bar.done();
        assert_eq!(screen.now().trim(), "");
        assert!(screen.ever().contains("building"));
    }
}
