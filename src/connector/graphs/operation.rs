//! Operations on a graph, as plain data that knows no Cypher.

use super::filter::Filter;
use super::name::Name;
use crate::connector::databases::json::Json;

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation {
    CreateNode {
        labels: Vec<Name>,
        properties: Properties,
    },
    FindNodes(Nodes, Page),
    FindNodeById(Id),
    UpdateNodes(Target<Nodes>, Changes),
    DeleteNodes {
        target: Target<Nodes>,
        /// Whether their relationships are deleted too.
        detach: bool,
    },
    MergeNode {
        labels: Vec<Name>,
        merge: Merge,
    },
    ChangeLabels {
        id: Id,
        how: LabelChange,
        labels: Vec<Name>,
    },
    CreateRelationship {
        ends: Ends,
        kind: Name,
        properties: Properties,
    },
    FindRelationships(Relationships, Page),
    UpdateRelationships(Target<Relationships>, Changes),
    DeleteRelationships(Target<Relationships>),
    MergeRelationship {
        ends: Ends,
        kind: Name,
        merge: Merge,
    },
    Traverse(Traversal),
    ShortestPath {
        ends: Ends,
        steps: Steps,
        /// The property whose sum is to be least; `None`: the fewest relationships.
        weight: Option<Name>,
    },
    AllPaths {
        ends: Ends,
        steps: Steps,
        limit: Option<u64>,
    },
    Neighborhood {
        id: Id,
        steps: Steps,
        nodes: Nodes,
    },
    Components {
        types: Vec<Name>,
        labels: Vec<Name>,
    },
    CountNodes(Nodes),
    CountRelationships(Relationships),
    Statistics,
    FullText {
        index: SearchIndex,
        query: Json,
        limit: u64,
    },
    Vector {
        index: Box<str>,
        vector: Json,
        limit: u64,
    },
    Query {
        text: Box<str>,
        params: Vec<(Box<str>, Json)>,
        /// Whether the statement commits by itself, also several times.
        auto_commit: bool,
    },
    CreateIndex(Schema<IndexType>),
    CreateConstraint(Schema<ConstraintType>),
    List(SchemaKind),
    Drop(SchemaKind, Name),
}

/// Values by property.
pub(super) type Properties = Vec<(Name, Json)>;

/// Changes by property.
pub(super) type Changes = Vec<(Name, Change)>;

/// The change of one property.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Sets it; null removes it.
    Set(Json),
    /// Removes it.
    Unset,
    /// Adds to the number, or to 0.
    Increment(Json),
    /// Subtracts from the number, or from 0.
    Decrement(Json),
    /// Multiplies the number, or 0.
    Multiply(Json),
    /// Sets it if it is larger, or absent.
    Least(Json),
    /// Sets it if it is smaller, or absent.
    Greatest(Json),
    /// Appends to the list.
    Push(Json),
    /// Removes from the list what equals this.
    Pull(Json),
    /// Appends to the list what it does not have.
    AddToSet(Json),
}

/// The id of a node or a relationship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// As `id` in results.
    Number(i64),
    /// As `elementId` in results.
    Element(Box<str>),
}

/// What a change applies to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target<T> {
    One(Id),
    All(T),
}

/// Which nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Nodes {
    /// All of these.
    pub(super) labels: Vec<Name>,
    pub(super) filter: Filter,
}

/// Which relationships.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Relationships {
    /// One of these; empty: any.
    pub(super) types: Vec<Name>,
    pub(super) start: Option<Id>,
    pub(super) end: Option<Id>,
    pub(super) direction: Direction,
    pub(super) filter: Filter,
}

/// Direction of relationships, seen from where a pattern begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direction {
    #[default]
    Outgoing,
    Incoming,
    Both,
}

/// What is read of all that is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Page {
    /// Properties, and whether they are in descending order.
    pub(super) order: Vec<(Name, bool)>,
    pub(super) limit: Option<u64>,
    pub(super) skip: u64,
}

/// The nodes at both ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ends {
    pub(super) start: Id,
    pub(super) end: Id,
}

/// What is found by these properties, or created with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Merge {
    pub(super) matched: Properties,
    pub(super) on_create: Changes,
    pub(super) on_match: Changes,
}

/// What becomes of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelChange {
    Add,
    Remove,
    /// The node has these and no others.
    Set,
}

/// Relationships that are followed one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Steps {
    /// One of these; empty: any.
    pub(super) types: Vec<Name>,
    pub(super) direction: Direction,
    pub(super) least: u64,
    /// `None`: any number.
    pub(super) most: Option<u64>,
}

/// A walk from a node on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traversal {
    pub(super) start: Id,
    pub(super) steps: Steps,
    /// What each node but the first one must match.
    pub(super) nodes: Nodes,
    /// What each relationship must match.
    pub(super) relationships: Filter,
    pub(super) limit: Option<u64>,
}

/// The index that a text is searched with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SearchIndex {
    Named(Box<str>),
    /// One of nodes with this label, which has these properties.
    Of {
        label: Name,
        properties: Vec<Name>,
    },
}

/// An index or a constraint to be created.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Schema<T> {
    /// `None`: the server finds a name.
    pub(super) name: Option<Name>,
    pub(super) kind: T,
    pub(super) of: SchemaTarget,
    pub(super) properties: Vec<Name>,
}

/// What an index or a constraint is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SchemaTarget {
    /// Nodes with this label.
    Nodes(Name),
    /// Relationships of this type.
    Relationships(Name),
}

/// Types of indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexType {
    Range,
    Text,
    Point,
    FullText,
    Vector {
        dimensions: Option<u64>,
        similarity: Similarity,
    },
}

/// How vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Similarity {
    Cosine,
    Euclidean,
}

/// Types of constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConstraintType {
    Unique,
    Exists,
    Key,
}

/// What a schema consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchemaKind {
    Indexes,
    Constraints,
}
