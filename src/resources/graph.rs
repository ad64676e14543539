//! A graph database and its actions.

use super::Text;

/// The kind of a graph server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphKind {
    /// Neo4j.
    Neo4j,
    /// Memgraph.
    Memgraph,
    /// Amazon Neptune.
    Neptune,
    /// ArangoDB.
    ArangoDb,
    /// NebulaGraph.
    Nebula,
    /// Spanner Graph.
    SpannerGraph,
    /// The Gremlin API of Azure Cosmos DB.
    CosmosGremlin,
}

impl GraphKind {
    /// All of them, by the names of their types.
    pub const NAMES: [(&str, Self); 7] = [
        ("neo4j", Self::Neo4j),
        ("memgraph", Self::Memgraph),
        ("neptune", Self::Neptune),
        ("arangodb", Self::ArangoDb),
        ("nebula", Self::Nebula),
        ("spanner-graph", Self::SpannerGraph),
        ("cosmos-gremlin", Self::CosmosGremlin),
    ];

    /// The name of its type.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether this build has a connector for it.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        cfg!(feature = "graphs") && matches!(self, Self::Neo4j | Self::Memgraph | Self::Neptune)
    }
}

/// A graph database and its actions.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Its name within the product.
    pub tag: Box<str>,
    /// Its kind.
    pub kind: GraphKind,
    /// Whether jobs may run queries of their own.
    pub raw: bool,
    /// Where it is in each environment.
    pub envs: Vec<GraphEnv>,
    /// Predefined operations.
    pub actions: Vec<GraphAction>,
}

/// Where a graph is in one environment.
#[derive(Clone, Debug)]
pub struct GraphEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Address, with credentials or without.
    pub connection_url: Text,
    /// The database on the server; `None`: the user's own.
    pub database: Option<Text>,
    /// User, in place of that of the address.
    pub username: Option<Text>,
    /// Password, in place of that of the address.
    pub password: Option<Text>,
    /// CA certificates that must have signed the server's: PEM, or the path of such a file.
    pub ca: Option<Text>,
    /// Most simultaneous connections to one server.
    pub max_connections: Option<usize>,
}

impl GraphEnv {
    /// Whether its address is one of Bolt, as far as can be seen before secrets are put in.
    #[must_use]
    pub fn speaks_bolt(&self) -> bool {
        let scheme = self
            .connection_url
            .as_written()
            .split_once("://")
            .map(|(scheme, _)| scheme);
        scheme.is_none_or(|scheme| scheme.contains('$') || GRAPH_SCHEMES.contains(&scheme))
    }
}

/// Schemes of the addresses of Bolt: with TLS if they end with `s`, without checks of the certificate if with `ssc`.
pub const GRAPH_SCHEMES: [&str; 6] = ["neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"];

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphVerb {
    /// Creates a node.
    CreateNode,
    /// Reads nodes.
    FindNodes,
    /// Reads one node.
    FindNodeById,
    /// Changes nodes.
    UpdateNode,
    /// Deletes nodes.
    DeleteNode,
    /// Finds a node, or creates it.
    MergeNode,
    /// Creates a relationship.
    CreateRelationship,
    /// Reads relationships.
    FindRelationships,
    /// Changes relationships.
    UpdateRelationship,
    /// Deletes relationships.
    DeleteRelationship,
    /// Follows relationships from a node on.
    Traverse,
    /// Finds the shortest path between two nodes.
    ShortestPath,
    /// Runs the query of the definition.
    Query,
}

impl GraphVerb {
    /// All of them, by their names in definitions.
    pub const NAMES: [(&str, Self); 13] = [
        ("CREATE_NODE", Self::CreateNode),
        ("FIND_NODES", Self::FindNodes),
        ("FIND_NODE_BY_ID", Self::FindNodeById),
        ("UPDATE_NODE", Self::UpdateNode),
        ("DELETE_NODE", Self::DeleteNode),
        ("MERGE_NODE", Self::MergeNode),
        ("CREATE_RELATIONSHIP", Self::CreateRelationship),
        ("FIND_RELATIONSHIPS", Self::FindRelationships),
        ("UPDATE_RELATIONSHIP", Self::UpdateRelationship),
        ("DELETE_RELATIONSHIP", Self::DeleteRelationship),
        ("TRAVERSE", Self::Traverse),
        ("SHORTEST_PATH", Self::ShortestPath),
        ("QUERY", Self::Query),
    ];

    /// The operation that it is.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::CreateNode => "createNode",
            Self::FindNodes => "findNodes",
            Self::FindNodeById => "findNodeById",
            Self::UpdateNode => "updateNode",
            Self::DeleteNode => "deleteNode",
            Self::MergeNode => "mergeNode",
            Self::CreateRelationship => "createRelationship",
            Self::FindRelationships => "findRelationships",
            Self::UpdateRelationship => "updateRelationship",
            Self::DeleteRelationship => "deleteRelationship",
            Self::Traverse => "traverse",
            Self::ShortestPath => "shortestPath",
            Self::Query => "query",
        }
    }

    /// The members that the input of its operation may have.
    #[must_use]
    pub fn members(self) -> &'static [&'static str] {
        match self {
            Self::CreateNode => graph_input::CREATE_NODE,
            Self::FindNodes => graph_input::FIND_NODES,
            Self::FindNodeById => graph_input::FIND_NODE_BY_ID,
            Self::UpdateNode => graph_input::UPDATE_NODE,
            Self::DeleteNode => graph_input::DELETE_NODE,
            Self::MergeNode => graph_input::MERGE_NODE,
            Self::CreateRelationship => graph_input::CREATE_RELATIONSHIP,
            Self::FindRelationships => graph_input::FIND_RELATIONSHIPS,
            Self::UpdateRelationship => graph_input::UPDATE_RELATIONSHIP,
            Self::DeleteRelationship => graph_input::DELETE_RELATIONSHIP,
            Self::Traverse => graph_input::TRAVERSE,
            Self::ShortestPath => graph_input::SHORTEST_PATH,
            Self::Query => graph_input::QUERY,
        }
    }

    /// Whether it has a filter, which a template of its own may give.
    #[must_use]
    pub fn takes_filter(self) -> bool {
        self.members().contains(&"where")
    }
}

/// Members of inputs of operations on graphs, each with its synonyms.
#[rustfmt::skip]
pub mod graph_input {
    /// `createNode`.
    pub const CREATE_NODE: &[&str] = &["labels", "label", "properties", "props", "data"];
    /// `findNodes`.
    pub const FIND_NODES: &[&str] = &["labels", "label", "where", "filter", "orderBy", "limit", "skip", "offset"];
    /// `findNodeById`.
    pub const FIND_NODE_BY_ID: &[&str] = &["id", "nodeId"];
    /// `updateNode`.
    pub const UPDATE_NODE: &[&str] =
        &["id", "nodeId", "labels", "label", "where", "filter", "properties", "props", "data", "all"];
    /// `deleteNode`.
    pub const DELETE_NODE: &[&str] = &["id", "nodeId", "labels", "label", "where", "filter", "detach", "all"];
    /// `mergeNode`.
    pub const MERGE_NODE: &[&str] =
        &["labels", "label", "matchProperties", "matchProps", "setProperties", "setProps", "onCreate", "onMatch"];
    /// `createRelationship`.
    pub const CREATE_RELATIONSHIP: &[&str] = &[
        "type", "startNodeId", "fromId", "from", "endNodeId", "toId", "to", "properties", "props", "data",
    ];
    /// `findRelationships`.
    pub const FIND_RELATIONSHIPS: &[&str] = &[
        "type", "types", "relationshipTypes", "startNodeId", "fromId", "from", "endNodeId", "toId", "to", "direction",
        "where", "filter", "orderBy", "limit", "skip", "offset",
    ];
    /// `updateRelationship`.
    pub const UPDATE_RELATIONSHIP: &[&str] = &[
        "id", "relationshipId", "type", "types", "relationshipTypes", "startNodeId", "fromId", "from", "endNodeId",
        "toId", "to", "where", "filter", "properties", "props", "data", "all",
    ];
    /// `deleteRelationship`.
    pub const DELETE_RELATIONSHIP: &[&str] = &[
        "id", "relationshipId", "type", "types", "relationshipTypes", "startNodeId", "fromId", "from", "endNodeId",
        "toId", "to", "where", "filter", "all",
    ];
    /// `traverse`.
    pub const TRAVERSE: &[&str] = &[
        "startNodeId", "fromId", "from", "direction", "relationshipTypes", "types", "type", "minDepth", "maxDepth",
        "depth", "nodeFilter", "relationshipFilter", "limit",
    ];
    /// `shortestPath`.
    pub const SHORTEST_PATH: &[&str] = &[
        "startNodeId", "fromId", "from", "endNodeId", "toId", "to", "relationshipTypes", "types", "type", "maxDepth",
        "depth", "weightProperty", "directed", "direction",
    ];
    /// `query`.
    pub const QUERY: &[&str] = &["query", "cypher", "text", "params", "parameters", "autoCommit"];
}

/// Operators of filters in the place of values.
#[rustfmt::skip]
pub const GRAPH_FILTER_OPERATORS: [&str; 25] = [
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$notIn", "$between", "$notBetween", "$like", "$notLike",
    "$ilike", "$contains", "$startsWith", "$endsWith", "$containsAll", "$containsAny", "$regex", "$isNull",
    "$isNotNull", "$null", "$exists", "$not",
];
/// Operators of filters in the place of properties.
pub const GRAPH_GROUP_OPERATORS: [&str; 4] = ["$and", "$or", "$nor", "$not"];
/// Operators of changes.
#[rustfmt::skip]
pub const GRAPH_UPDATE_OPERATORS: [&str; 13] = [
    "$set", "$unset", "$inc", "$increment", "$dec", "$decrement", "$mul", "$multiply", "$min", "$max", "$push", "$pull",
    "$addToSet",
];
/// Keys of objects that are values of types which JSON does not have, each the only one of its object.
#[rustfmt::skip]
pub const GRAPH_VALUE_TYPES: [&str; 10] = [
    "$datetime", "$localdatetime", "$date", "$time", "$localtime", "$duration", "$point", "$bytes", "$integer", "$float",
];

/// A predefined operation, with placeholders for values of the job.
#[derive(Clone, Debug)]
pub struct GraphAction {
    /// Its path in the options, as in `resources.products[0].graphs[0].actions[0]`.
    pub path: Box<str>,
    /// Its name within the graph.
    pub tag: Box<str>,
    /// What it does.
    pub verb: GraphVerb,
    /// The query, of [`GraphVerb::Query`].
    pub query: Option<Box<str>>,
    /// JSON of the operation's input; of the parameters, if there is a query.
    pub template: Text,
    /// JSON of the filter, which takes the place of `where` in the template.
    pub filter: Option<Text>,
    /// JSON object with values for placeholders that a job leaves out.
    pub defaults: Option<Text>,
}
