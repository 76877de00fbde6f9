//! Which privilege grants which call.

/// What is to be done with a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Allocate, Provision, PerformOperationalAction, CreateSliver.
    Create,
    /// Renew, RenewSliver.
    Renew,
    /// Delete, DeleteSliver.
    Delete,
    /// Describe, Status, SliverStatus, ListResources of a slice.
    Look,
    /// Shutdown.
    Shutdown,
}

/// A privilege by its name, and whether it may be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privilege {
    /// Its name: `embed`, `control`, `*`, ...
    pub name: String,
    /// Whether its owner may pass it on.
    pub can_delegate: bool,
}

impl Privilege {
    /// Whether it grants this. The table is that of the federation's reference
    /// implementation.
    pub fn grants(&self, operation: Operation) -> bool {
        match self.name.as_str() {
            "*" | "authority" | "embed" | "sa" => true,
            "control" => operation != Operation::Shutdown,
            _ => false,
        }
    }

    /// Whether one who owns this may pass on `other`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.can_delegate && (self.name == other.name || self.name == "*")
    }
}
