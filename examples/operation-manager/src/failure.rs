//! What went wrong, as a person reads it and as a script sees it: one title,
//! perhaps a detail and an advice, and an exit code.

use std::fmt;

/// A result of this program.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was refused, or it failed.
    Refused = 1,
    /// It was not asked properly: arguments, configuration, files.
    Usage = 2,
    /// The server cannot be reached.
    Unreachable = 3,
}

/// An error for people. It never holds a secret, a token or a full URL.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    exit: Exit,
    title: String,
    detail: Option<String>,
    advice: Option<String>,
}

impl Failure {
    fn new(exit: Exit, title: impl Into<String>) -> Self {
        Self {
            exit,
            title: title.into(),
            detail: None,
            advice: None,
        }
    }

    /// It was refused, or it failed.
    pub(crate) fn refused(title: impl Into<String>) -> Self {
        Self::new(Exit::Refused, title)
    }

    /// It was not asked properly.
    pub(crate) fn usage(title: impl Into<String>) -> Self {
        Self::new(Exit::Usage, title)
    }

    /// The server cannot be reached.
    pub(crate) fn unreachable(title: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, title)
    }

    /// More about it.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = (!detail.is_empty()).then_some(detail);
        self
    }

    /// What to do next.
    #[must_use]
    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        self.advice = (!advice.is_empty()).then_some(advice);
        self
    }

    /// As a program reads it.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": self.title,
            "detail": self.detail,
            "advice": self.advice,
        })
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.exit as u8
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n  {advice}")?;
        }
        Ok(())
    }
}

impl From<rm_core::Error> for Failure {
    fn from(e: rm_core::Error) -> Self {
        let failure = Self::refused(e.what());
        match e.next() {
            Some(advice) => failure.advice(advice),
            None => failure,
        }
    }
}
