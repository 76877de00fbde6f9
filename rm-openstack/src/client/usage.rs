//! What a project may have and has.

/// One quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The limit; `None` if there is none.
    pub limit: Option<u64>,
    /// What is in use, as far as the service told.
    pub used: Option<u64>,
}

impl Usage {
    /// How many more there may be; `None` if that is unlimited or not known.
    pub fn left(&self) -> Option<u64> {
        Some(self.limit?.saturating_sub(self.used?))
    }
}
