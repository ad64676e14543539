//! Where a job goes: namespace, product, environment and the fields that name the target.

use std::fmt;

/// One of the nine things that can be dispatched, or what the package does for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// `ductape.actions`: app actions.
    Actions,
    /// `ductape.features`: features.
    Features,
    /// `ductape.notifications`: notifications.
    Notifications,
    /// `ductape.storage`: storage operations.
    Storage,
    /// `ductape.events`: message broker publishes.
    Events,
    /// `ductape.databases.action`: database actions.
    DatabaseActions,
    /// `ductape.databases`: database operations.
    Databases,
    /// `ductape.graphs.action`: graph actions.
    GraphActions,
    /// `ductape.graphs`: graph operations.
    Graphs,
    /// Deliveries to webhooks: jobs of the package's own, which nobody dispatches, lists or counts.
    Webhooks,
}

impl Namespace {
    /// The nine that can be dispatched, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Actions,
        Self::Features,
        Self::Notifications,
        Self::Storage,
        Self::Events,
        Self::DatabaseActions,
        Self::Databases,
        Self::GraphActions,
        Self::Graphs,
    ];

    /// The name in the API, as in `databases.action`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Features => "features",
            Self::Notifications => "notifications",
            Self::Storage => "storage",
            Self::Events => "events",
            Self::DatabaseActions => "databases.action",
            Self::Databases => "databases",
            Self::GraphActions => "graphs.action",
            Self::Graphs => "graphs",
            Self::Webhooks => "webhooks",
        }
    }

    /// The namespace of that name, as a store kept it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain([Self::Webhooks]);
        all.find(|namespace| namespace.as_str() == name)
    }

    /// The namespace of that name, if it is one of the nine.
    #[must_use]
    pub fn parse_public(name: &str) -> Option<Self> {
        Self::parse(name).filter(|namespace| !namespace.is_internal())
    }

    /// Whether its jobs are the package's own: they raise no events and are in no list.
    #[must_use]
    pub fn is_internal(self) -> bool {
        self == Self::Webhooks
    }

    /// The documented fields that name a target here, in order; one or two.
    #[must_use]
    pub fn target_fields(self) -> &'static [&'static str] {
        match self {
            Self::Actions => &["app", "event"],
            Self::Features => &["tag"],
            Self::Notifications => &["notification", "event"],
            Self::Storage => &["storage", "event"],
            Self::Events => &["broker", "event"],
            Self::DatabaseActions => &["database", "event"],
            Self::Databases => &["database", "operation"],
            Self::GraphActions => &["graph", "event"],
            Self::Graphs => &["graph", "operation"],
            Self::Webhooks => &["webhook"],
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The full address of a job's work. Jobs of one route are claimed, counted and handled alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Which of the nine.
    pub namespace: Namespace,
    /// Product tag.
    pub product: Box<str>,
    /// Environment slug.
    pub env: Box<str>,
    /// Values of [`Namespace::target_fields`], in that order and number.
    pub target: Vec<Box<str>>,
}

impl Route {
    /// Field names and values of the target, in the documented order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.namespace
            .target_fields()
            .iter()
            .copied()
            .zip(self.target.iter().map(AsRef::as_ref))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.namespace, self.target.join("/"))?;
        write!(f, " ({}, {})", self.product, self.env)
    }
}
