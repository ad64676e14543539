//! Routes: namespace, product, environment and the fields that name the target.

use std::fmt;

/// One of the nine kinds of jobs that can be dispatched, or the internal one.
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
    /// Deliveries to webhooks: internal jobs, which are not dispatched, listed or counted.
    Webhooks,
}

impl Namespace {
    /// The namespaces that can be dispatched to, in the order of the documentation.
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

    /// The namespace of that name, the internal one included.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain([Self::Webhooks]);
        all.find(|namespace| namespace.as_str() == name)
    }

    /// The namespace of that name, unless it is internal.
    #[must_use]
    pub fn parse_public(name: &str) -> Option<Self> {
        Self::parse(name).filter(|namespace| !namespace.is_internal())
    }

    /// Whether its jobs are internal: they raise no events and are not listed.
    #[must_use]
    pub fn is_internal(self) -> bool {
        self == Self::Webhooks
    }

    /// The one or two fields that name a target in this namespace, in documented order.
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

/// The full name of a job's target. Jobs of one route are claimed, counted and handled alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The namespace.
    pub namespace: Namespace,
    /// Product tag.
    pub product: Box<str>,
    /// Environment slug.
    pub env: Box<str>,
    /// The values of [`Namespace::target_fields`], in the same order.
    pub target: Vec<Box<str>>,
}

impl Route {
    /// The names and values of the target fields, in documented order.
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
